import { keyProblems } from './key-variables.js';

/** The greatest that option `payloads.maxBytes` may be. */
export const PAYLOAD_LIMIT_BYTES = 262_144_000;

/** The defaults of the module. */
export const PAYLOAD_DEFAULTS = {
  NESTOR_PAYLOAD_INLINE_LIMIT: 65_536,
  NESTOR_PAYLOAD_MAX_BYTES: 67_108_864,
} as const;

/** How parameters, results and errors are kept. */
export interface PayloadSettings {
  readonly inlineLimit: number;
  readonly maxBytes: number;
  /** `null` for a table of the schema. */
  readonly directory: string | null;
  readonly isCompressed: boolean;
  /** `null`: they are not encrypted. */
  readonly key: string | null;
}

interface PayloadVariables {
  readonly NESTOR_PAYLOAD_INLINE_LIMIT: number;
  readonly NESTOR_PAYLOAD_MAX_BYTES: number;
  readonly NESTOR_PAYLOAD_DIRECTORY?: string;
  readonly NESTOR_PAYLOAD_GZIP: string;
  readonly NESTOR_PAYLOAD_KEY?: string;
}

/** How payloads are kept; what is wrong with a variable is added to `problems`. */
export function payloadsOf(variables: PayloadVariables, problems: string[]): PayloadSettings {
  const { NESTOR_PAYLOAD_INLINE_LIMIT: inlineLimit, NESTOR_PAYLOAD_MAX_BYTES: maxBytes } = variables;
  const { NESTOR_PAYLOAD_DIRECTORY: directory = null, NESTOR_PAYLOAD_KEY: key = null } = variables;
  if (inlineLimit > maxBytes) {
    problems.push('NESTOR_PAYLOAD_INLINE_LIMIT must not be more than NESTOR_PAYLOAD_MAX_BYTES');
  }
  problems.push(...keyProblems('NESTOR_PAYLOAD_KEY', variables.NESTOR_PAYLOAD_KEY));
  return { inlineLimit, maxBytes, directory, isCompressed: variables.NESTOR_PAYLOAD_GZIP === 'true', key };
}

import { satisfies, validRange } from 'semver';
import { isRecord } from './json-file.js';

/** Which versions of Node a package says it runs on. */
export interface NodeRange {
  /** As written in the manifest, `null` when it says nothing. */
  readonly range: string | null;
  /** Whether the version asked about is outside. `false` for a range that cannot be read. */
  readonly excluded: boolean;
}

/** Reads `engines.node`, and the list form `["node >= 0.8"]` of old manifests. */
export function nodeRangeOf(engines: unknown, nodeVersion: string): NodeRange {
  const range = rangeOf(engines);
  if (range === null || validRange(range) === null) return { range, excluded: false };
  return { range, excluded: !satisfies(nodeVersion, range, { includePrerelease: true }) };
}

function rangeOf(engines: unknown): string | null {
  if (isRecord(engines)) return typeof engines.node === 'string' ? engines.node : null;
  if (!Array.isArray(engines)) return null;
  const entry: unknown = engines.find((item) => typeof item === 'string' && /^node\b/.test(item));
  return typeof entry === 'string' ? entry.slice('node'.length).trim() : null;
}

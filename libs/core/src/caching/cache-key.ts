import { OrchestratorError } from '../errors/orchestrator-error.js';
import { canonicalText } from '../json/canonical-text.js';
import type { CachePolicy } from './cache-policy.js';

/** An argument of a task has no form that could be compared, so its outcome cannot be remembered by it. */
export class UncacheableInputError extends OrchestratorError {
  readonly code = 'UNCACHEABLE_INPUT';

  constructor(
    readonly taskKey: string,
    readonly input: string,
  ) {
    super(
      `The outcome of task "${taskKey}" cannot be remembered by its input "${input}", which contains something that has no ` +
        `data form, such as a function; exclude that input from the cache policy.`,
    );
  }
}

/** What a cache key can be made of. */
export interface CacheMaterial {
  /** Provider-qualified name of the task. */
  readonly taskKey: string;
  /** The arguments by name. */
  readonly inputs: Readonly<Record<string, unknown>>;
  /** The source of the task's method; `null` when it is not known. */
  readonly source: string | null;
  /** The parameters of the flow run around the call; `null` outside flows. */
  readonly flowParameters: Readonly<Record<string, unknown>> | null;
  readonly flowRunId: string | null;
  readonly taskRunId: string;
}

/**
 * What an outcome is remembered under: equal for calls that the policy takes for the same. It is text of any length, made to
 * be hashed. `null`: the outcome is not remembered.
 *
 * Different tasks never share a key that we make, whatever the policy. A key that the author's function gives is taken as it
 * is, so that tasks can share one on purpose; combined with other policies, it is part of the task's own.
 *
 * @throws {UncacheableInputError} when an input that counts cannot be compared.
 */
export function cacheKey(policy: CachePolicy, material: CacheMaterial): string | null {
  if (policy.kind === 'function') return policy.keyOf(material.inputs);
  const parts = partsOf(policy, material);
  return parts.length === 0 ? null : canonicalText([material.taskKey, ...parts]);
}

/** Each part is told apart by its kind: a run id never equals a source. */
function partsOf(policy: CachePolicy, material: CacheMaterial): readonly (readonly [string, string])[] {
  const part = (text: string | null): readonly (readonly [string, string])[] =>
    text === null ? [] : [[policy.kind, text]];
  switch (policy.kind) {
    case 'inputs':
      return part(textOfInputs(policy.exclude, material));
    case 'task-source':
      return part(material.source);
    case 'flow-parameters': {
      const { flowParameters } = material;
      return part(flowParameters && Object.keys(flowParameters).length > 0 ? canonicalText(flowParameters) : null);
    }
    case 'run-id':
      return part(material.flowRunId ?? material.taskRunId);
    case 'function':
      return part(policy.keyOf(material.inputs));
    case 'compound':
      return policy.policies.flatMap((each) => partsOf(each, material));
    case 'none':
      return [];
  }
}

function textOfInputs(exclude: readonly string[], { taskKey, inputs }: CacheMaterial): string | null {
  const counting = Object.entries(inputs).filter(([name]) => !exclude.includes(name));
  const text = canonicalText(Object.fromEntries(counting));
  if (text !== null) return text;
  const culprit = counting.find(([, value]) => canonicalText(value) === null);
  throw new UncacheableInputError(taskKey, culprit?.[0] ?? Object.keys(inputs).join(', '));
}

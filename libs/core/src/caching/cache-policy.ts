/**
 * What the outcome of a task is remembered by. Policies are data: they are stored, compared and shown.
 *
 * - `inputs`: the arguments of the call, without those in `exclude`
 * - `task-source`: the source of the method, so that an edit forgets all outcomes
 * - `flow-parameters`: the parameters of the flow run around it
 * - `run-id`: the flow run around it, so that an outcome is remembered within one run (of the task, outside flows)
 * - `function`: whatever the author's function gives for the call
 * - `compound`: all of several
 * - `none`: it is not remembered
 */
export type CachePolicy =
  | { readonly kind: 'inputs'; readonly exclude: readonly string[] }
  | { readonly kind: 'task-source' }
  | { readonly kind: 'flow-parameters' }
  | { readonly kind: 'run-id' }
  | { readonly kind: 'none' }
  | { readonly kind: 'function'; readonly keyOf: (inputs: Readonly<Record<string, unknown>>) => string | null }
  | { readonly kind: 'compound'; readonly policies: readonly CachePolicy[] };

export const INPUTS: CachePolicy = { kind: 'inputs', exclude: [] };
export const TASK_SOURCE: CachePolicy = { kind: 'task-source' };
export const FLOW_PARAMETERS: CachePolicy = { kind: 'flow-parameters' };
export const RUN_ID: CachePolicy = { kind: 'run-id' };
export const NO_CACHE: CachePolicy = { kind: 'none' };

/**
 * By all of several policies at once: an outcome is found only when each of them finds it. Policies by inputs become one,
 * which excludes what any of them excludes; `NO_CACHE` adds nothing.
 */
export function combined(...policies: readonly CachePolicy[]): CachePolicy {
  const flat = policies.flatMap((policy) => (policy.kind === 'compound' ? policy.policies : [policy]));
  const excluded = flat.flatMap((policy) => (policy.kind === 'inputs' ? policy.exclude : []));
  const inputs: CachePolicy = { kind: 'inputs', exclude: [...new Set(excluded)] };
  const others = flat.filter(({ kind }) => kind !== 'inputs' && kind !== 'none');
  const all = flat.some(({ kind }) => kind === 'inputs') ? [inputs, ...others] : others;
  const [only, ...more] = all;
  if (only === undefined) return NO_CACHE;
  return more.length === 0 ? only : { kind: 'compound', policies: all };
}

/** By the same, but not by these inputs: a policy that did not look at inputs looks at the others now. */
export function excluding(policy: CachePolicy, ...inputs: readonly string[]): CachePolicy {
  return policy.kind === 'none' ? policy : combined({ kind: 'inputs', exclude: inputs }, policy);
}

/** By inputs and source, within one flow run: what a retry of the flow finds of the attempt before. */
export const DEFAULT_CACHE_POLICY: CachePolicy = combined(INPUTS, TASK_SOURCE, RUN_ID);

import type { ProposedState, StateType } from '../states/state.js';
import type { Run } from './run.js';
import type { FactName, Facts, Policy, PolicyChange, Rule, StateFilter, Transition } from './transition.js';

/** What becomes of a proposal. */
export type Verdict =
  /** Enter the state, as proposed or with details filled in. */
  | { readonly kind: 'accept'; readonly state: ProposedState; readonly policy: PolicyChange }
  /** Enter another state than proposed, or (`null`) stay in the current one. */
  | {
      readonly kind: 'reject';
      readonly state: ProposedState | null;
      readonly reason: string;
      readonly policy: PolicyChange;
    }
  /** Ask again later; nothing is written. */
  | { readonly kind: 'wait'; readonly retryAfterMs: number; readonly reason: string }
  /** Stop asking; nothing is written. */
  | { readonly kind: 'abort'; readonly reason: string };

/** A rule that applies has to know something first; load it and decide again. */
export interface NeedsFacts {
  readonly kind: 'needs-facts';
  readonly names: readonly FactName[];
}

/**
 * Asks the rules of a policy, in order, what becomes of a transition.
 *
 * A rule is asked only when the pair of current and proposed state matches it *at its turn*: once a rule has put another
 * state in the place of the proposed one, later rules see that one. A rule's change of policy lasts when the final state is
 * one the rule looks at, or the one it put there itself. `wait`, `abort` and "stay where you are" end the matter at once.
 */
export function decide<R extends Run>(
  policy: Policy<R>,
  transition: Transition<R>,
  facts: Facts,
): Verdict | NeedsFacts {
  const from = transition.run.state?.type ?? null;
  const changes: { rule: Rule<R>; policy: PolicyChange; becomes: StateType | null }[] = [];
  let proposed: ProposedState = transition.proposed;
  let rejection: string | null = null;

  for (const rule of policy) {
    if (!applies(rule, from, proposed.type)) continue;
    const missing = (rule.needs ?? []).filter((name) => facts[name] === undefined);
    if (missing.length > 0) return { kind: 'needs-facts', names: missing };

    const ruling = rule.decide({ ...transition, proposed }, facts);
    if (ruling.kind === 'wait' || ruling.kind === 'abort') return ruling;
    if (ruling.kind === 'pass') continue;
    if (ruling.policy) {
      const becomes = ruling.kind === 'reject' ? (ruling.state?.type ?? null) : null;
      changes.push({ rule, policy: ruling.policy, becomes });
    }
    if (ruling.kind === 'amend') {
      proposed = ruling.proposed ?? proposed;
      continue;
    }
    if (ruling.state === null) return { kind: 'reject', state: null, reason: ruling.reason, policy: {} };
    proposed = ruling.state;
    rejection = ruling.reason;
  }

  const lasting = changes.filter(
    ({ rule, becomes }) => becomes === proposed.type || applies(rule, from, proposed.type),
  );
  const policyChange: PolicyChange = Object.assign({}, ...lasting.map((change) => change.policy)) as PolicyChange;
  return rejection === null
    ? { kind: 'accept', state: proposed, policy: policyChange }
    : { kind: 'reject', state: proposed, reason: rejection, policy: policyChange };
}

/** Whether a rule looks at a move from one state type (or none) to another. */
function applies(rule: Pick<Rule, 'from' | 'to'>, from: StateType | null, to: StateType): boolean {
  return includes(rule.from, from) && includes(rule.to, to);
}

function includes(filter: StateFilter, type: StateType | null): boolean {
  return filter === 'any' || filter.includes(type);
}

import type { ProposedState, StateType } from '../states/state.js';
import type { Effect } from './effect.js';
import type { FactName, Facts } from './facts.js';
import type { Run } from './run.js';
import type { Changes, Policy, PolicyChange, Rule, StateFilter, Transition } from './transition.js';

/** What becomes of a proposal. */
export type Verdict =
  /** Enter the state, as proposed or with details filled in. */
  | ({ readonly kind: 'accept'; readonly state: ProposedState } & Consequences)
  /** Enter another state than proposed, or (`null`) stay in the current one, which has no consequences. */
  | ({
      readonly kind: 'reject';
      readonly state: ProposedState | null;
      readonly reason: string;
    } & Consequences)
  /** Ask again later; nothing is written. */
  | { readonly kind: 'wait'; readonly retryAfterMs: number; readonly reason: string }
  /** Stop asking; nothing is written. */
  | { readonly kind: 'abort'; readonly reason: string };

/** What goes with entering a state. */
interface Consequences {
  readonly policy: PolicyChange;
  /** The run begins anew: `advanceTaskRun` counts its attempts from 1 again. */
  readonly startsOver: boolean;
  /** What changes outside the run's row, in the same transaction. */
  readonly effects: readonly Effect[];
}

/** A rule that applies has to know something first; load it and decide again. */
export interface NeedsFacts {
  readonly kind: 'needs-facts';
  readonly names: readonly FactName[];
}

/** What a rule changed, and which state it put in the place of the proposed one. */
interface Made<R extends Run> {
  readonly rule: Rule<R>;
  readonly changes: Changes;
  readonly becomes: StateType | null;
}

const NONE: Consequences = { policy: {}, startsOver: false, effects: [] };

/**
 * Asks the rules of a policy, in order, what becomes of a transition.
 *
 * A rule is asked when the pair of current and proposed state matches it, and sees the proposal and the run as earlier
 * rules changed them. Once a rule has put a state of another type in the place of the proposed one, only rules about the
 * outcome are asked, when the pair of current and final state matches them. What a rule changes (the run's policy, its
 * count, something outside the run) lasts when the final state is one the rule looks at, or the one it put there itself.
 * `wait`, `abort` and "stay where you are" end the matter at once, and nothing is changed then.
 *
 * Facts are asked for one rule at a time: `needs-facts` names what the first rule lacks that cannot go on without. Load
 * them, add them to those there are, and decide again.
 */
export function decide<R extends Run>(
  policy: Policy<R>,
  transition: Transition<R>,
  facts: Facts,
): Verdict | NeedsFacts {
  const from = transition.run.state?.type ?? null;
  let made: Made<R>[] | null = null; // most transitions change nothing
  let current = transition;
  let rejection: string | null = null;
  let replaced = false;

  for (const rule of policy) {
    if (replaced && rule.about !== 'outcome') continue;
    if (!applies(rule, from, current.proposed.type)) continue;
    const missing = missingFacts(rule, current, facts);
    if (missing.length > 0) return { kind: 'needs-facts', names: missing };

    const ruling = rule.decide(current, facts);
    if (ruling.kind === 'pass') continue;
    if (ruling.kind === 'wait' || ruling.kind === 'abort') return ruling;
    if (ruling.kind === 'reject') {
      if (ruling.state === null) return { kind: 'reject', state: null, reason: ruling.reason, ...NONE };
      rejection = ruling.reason;
      replaced ||= ruling.state.type !== current.proposed.type;
    }
    (made ??= []).push({
      rule,
      changes: ruling,
      becomes: ruling.kind === 'reject' ? (ruling.state?.type ?? null) : null,
    });
    const proposed = (ruling.kind === 'reject' ? ruling.state : ruling.proposed) ?? current.proposed;
    current = { ...current, run: changed(current.run, ruling), proposed };
  }

  const state = current.proposed;
  const lasting = made?.filter(({ rule, becomes }) => becomes === state.type || applies(rule, from, state.type));
  const consequences = lasting ? consequencesOf(lasting.map(({ changes }) => changes)) : NONE;
  return rejection === null
    ? { kind: 'accept', state, ...consequences }
    : { kind: 'reject', state, reason: rejection, ...consequences };
}

function missingFacts<R extends Run>({ needs }: Rule<R>, transition: Transition<R>, facts: Facts): FactName[] {
  if (needs === undefined) return [];
  const names = typeof needs === 'function' ? needs(transition) : needs;
  return names.filter((name) => facts[name] === undefined);
}

/** The run as later rules see it. */
function changed<R extends Run>(run: R, { policy, startsOver = false }: Changes): R {
  if (!policy && !startsOver) return run;
  return { ...run, policy: { ...run.policy, ...policy }, runCount: startsOver ? 0 : run.runCount };
}

function consequencesOf(changes: readonly Changes[]): Consequences {
  if (changes.length === 0) return NONE;
  return {
    policy: Object.assign({}, ...changes.map(({ policy }) => policy)) as PolicyChange,
    startsOver: changes.some(({ startsOver }) => startsOver),
    effects: changes.flatMap(({ effects }) => effects ?? []),
  };
}

/** Whether a rule looks at a move from one state type (or none) to another. */
function applies(rule: Pick<Rule, 'from' | 'to'>, from: StateType | null, to: StateType): boolean {
  return includes(rule.from, from) && includes(rule.to, to);
}

function includes(filter: StateFilter, type: StateType | null): boolean {
  return filter === 'any' || filter.includes(type);
}

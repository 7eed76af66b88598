import type { ProposedState, StateType } from '../states/state.js';
import type { Instant } from '../time/instant.js';
import type { Effect } from './effect.js';
import type { FactName, Facts } from './facts.js';
import type { Run } from './run.js';

/** A proposal under consideration: which run, what it should become, and when that is decided. */
export interface Transition<R extends Run = Run> {
  readonly run: R;
  readonly proposed: ProposedState;
  /** Database time. */
  readonly now: Instant;
}

/** What a rule changes besides the proposed state. It lasts when the rule still applies to the state that is entered. */
export interface Changes {
  /** Becomes part of the run's policy. */
  readonly policy?: PolicyChange;
  /** The run begins anew: its attempts are counted from 1 again. */
  readonly startsOver?: boolean;
  readonly effects?: readonly Effect[];
}

/** What one rule says of a transition. */
export type Ruling =
  | { readonly kind: 'pass' }
  | ({ readonly kind: 'amend'; readonly proposed?: ProposedState } & Changes)
  | ({
      readonly kind: 'reject';
      /** The state to enter instead; `null` keeps the current one. */
      readonly state: ProposedState | null;
      readonly reason: string;
    } & Changes)
  | { readonly kind: 'wait'; readonly retryAfterMs: number; readonly reason: string }
  | { readonly kind: 'abort'; readonly reason: string };

export interface PolicyChange {
  readonly resuming?: boolean;
  readonly pauseKeys?: readonly string[];
  readonly retryType?: 'in_process' | 'reschedule' | null;
  readonly recoveries?: number;
}

/** Which state types a rule looks at; `null` stands for "no state yet". */
export type StateFilter = 'any' | readonly (StateType | null)[];

/** One reason to alter a transition. Pure: same transition and facts, same ruling. */
export interface Rule<R extends Run = Run> {
  readonly name: string;
  readonly from: StateFilter;
  readonly to: StateFilter;
  /**
   * A rule judges a `proposal`, and is not asked any more once another rule has put a state of another type in its place:
   * that state is the policy's own. What follows from whichever state is entered in the end is about the `outcome`; such rules
   * come last in their policy. Default: the proposal.
   */
  readonly about?: 'proposal' | 'outcome';
  /** The facts it decides by: always the same ones, or those that this transition takes. */
  readonly needs?: readonly FactName[] | ((transition: Transition<R>) => readonly FactName[]);
  decide(transition: Transition<R>, facts: Facts): Ruling;
}

/** Rules in the order in which they are asked. */
export type Policy<R extends Run = Run> = readonly Rule<R>[];

const PASS: Ruling = { kind: 'pass' };
export const pass = (): Ruling => PASS;
export const amend = (changes: { readonly proposed?: ProposedState } & Changes): Ruling => ({
  kind: 'amend',
  ...changes,
});
/** Enter `state` instead of what was proposed. */
export const replace = (state: ProposedState, reason: string, changes?: Changes): Ruling => ({
  kind: 'reject',
  state,
  reason,
  ...changes,
});
/** Stay where you are. */
export const keep = (reason: string): Ruling => ({ kind: 'reject', state: null, reason });
export const wait = (retryAfterMs: number, reason: string): Ruling => ({ kind: 'wait', retryAfterMs, reason });
export const abort = (reason: string): Ruling => ({ kind: 'abort', reason });

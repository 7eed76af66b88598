import type { ScheduleOverlap } from '../deployments/deployment-options.js';

/** A run of a schedule that goes on, or may be claimed. */
export interface ActiveTurn {
  readonly id: string;
  readonly name: string;
  /** Whether it was asked to end already. */
  readonly isEnding: boolean;
}

/** A run of a schedule that is due and awaits its turn. */
export interface WaitingTurn {
  readonly id: string;
  readonly name: string;
  /** Somebody asked for it, as for those of a backfill: it is never skipped. */
  readonly isAskedFor: boolean;
}

/** What becomes of the runs of a schedule. */
export interface Turns {
  /** Those that may be claimed from now on. */
  readonly released: readonly WaitingTurn[];
  readonly skipped: readonly WaitingTurn[];
  /** Those that are asked to end. */
  readonly ended: readonly ActiveTurn[];
  /** On whose account runs are skipped or wait. */
  readonly blocker: { readonly name: string } | null;
}

/**
 * Decides which runs of a schedule go on.
 *
 * @param active those that go on already.
 * @param waiting those that are due, in order.
 */
export function decideTurns(
  overlap: ScheduleOverlap,
  active: readonly ActiveTurn[],
  waiting: readonly WaitingTurn[],
): Turns {
  if (overlap === 'allow') return { released: waiting, skipped: [], ended: [], blocker: null };
  if (overlap === 'cancel_other') return replacingTurns(active, waiting);
  const [first] = waiting;
  const released = active.length === 0 && first ? [first] : [];
  const others = waiting.slice(released.length).filter(({ isAskedFor }) => !isAskedFor);
  const kept = { skip: 0, buffer_one: 1, buffer_all: others.length }[overlap];
  return { released, skipped: others.slice(kept), ended: [], blocker: active[0] ?? first ?? null };
}

/** The last one takes the place of all before it, once the one that goes on has ended. */
function replacingTurns(active: readonly ActiveTurn[], waiting: readonly WaitingTurn[]): Turns {
  const own = waiting.filter(({ isAskedFor }) => !isAskedFor);
  const newest = own.at(-1) ?? null;
  const next = newest ?? waiting[0];
  return {
    released: active.length === 0 && next ? [next] : [],
    skipped: own.slice(0, -1),
    ended: newest ? active.filter(({ isEnding }) => !isEnding) : [],
    blocker: newest ?? active[0] ?? null,
  };
}

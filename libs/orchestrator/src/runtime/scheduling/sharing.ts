import { addMs, durationMs, isTerminal, type Duration, type Instant } from '@nestor/core';
import type { SharedRun } from '../../records/flow-runs/shared-runs.repository.js';
import { InvalidRunOptionError } from '../engine/new-run-options.js';

/** How calls that come close together share a run. At most one of the three. */
export interface SharingOptions {
  /**
   * Of the runs of the flow with this key at most one waits or is executed at a time: as long as there is one, a further call
   * gives that. 1 to 200 characters.
   */
  readonly singleton?: string;
  /** The run waits until nobody has called for a while, and is called with the latest arguments. */
  readonly debounce?: {
    /** Calls with the same key share a run; 1 to 200 characters. */
    readonly key: string;
    /** How long it is to be quiet. */
    readonly for: Duration;
    /** How long the first call waits at most, however many follow. Default: without end. */
    readonly atMost?: Duration;
  };
  /** A run at once, and no other one for a while: calls in that time give the run that there was. */
  readonly throttle?: {
    /** Calls with the same key share a run; 1 to 200 characters. */
    readonly key: string;
    /** The time, from the creation of a run, in which there is no other. */
    readonly per: Duration;
  };
}

/** What becomes of a call that finds a run with its key. */
type Share =
  /** It gets that run. */
  | { readonly kind: 'join' }
  /** It gets that run, which takes its arguments and waits until then. */
  | { readonly kind: 'revise'; readonly dueAt: Instant }
  /** It gets a run of its own, which has the key from now on. */
  | { readonly kind: 'replace' };

/** How a call shares runs with others. */
export interface Sharing {
  /** Unique among the keys of the flow, of whatever kind. */
  readonly key: string;
  /** How long a run waits that is created for it. */
  readonly delayMs: number;
  shareOf(run: SharedRun, now: Instant): Share;
}

const KEY = /^[^\0]{1,200}$/su;
const REPLACE: Share = { kind: 'replace' };
const JOIN: Share = { kind: 'join' };

/**
 * @returns `null` when runs are not shared.
 * @throws {InvalidRunOptionError} when the options cannot be meant.
 * @throws {InvalidDurationError} when a duration is none.
 */
export function checkedSharing({ singleton, debounce, throttle }: SharingOptions): Sharing | null {
  const given = [singleton, debounce, throttle].filter((one) => one !== undefined);
  if (given.length > 1) {
    throw new InvalidRunOptionError('singleton', 'is one of three with "debounce" and "throttle"; give one of them.');
  }
  if (singleton !== undefined) return singletonOf(singleton);
  if (debounce) return debounceOf(debounce);
  return throttle ? throttleOf(throttle) : null;
}

function singletonOf(key: string): Sharing {
  return {
    key: prefixed('singleton', key),
    delayMs: 0,
    shareOf: ({ stateType }) => (stateType !== null && isTerminal(stateType) ? REPLACE : JOIN),
  };
}

function debounceOf({ key, for: quiet, atMost }: NonNullable<SharingOptions['debounce']>): Sharing {
  const quietMs = positive('debounce', durationMs(quiet, 'debounce of a flow run'));
  const mostMs = atMost === undefined ? Infinity : durationMs(atMost, 'longest debounce of a flow run');
  if (mostMs < quietMs) throw new InvalidRunOptionError('debounce', 'waits at most for less than it waits for quiet.');
  return {
    key: prefixed('debounce', key),
    delayMs: quietMs,
    shareOf: ({ isWaiting, created }, now) => {
      if (!isWaiting) return REPLACE;
      const dueAt = addMs(now, quietMs);
      const latest = mostMs === Infinity ? dueAt : addMs(created, mostMs);
      return { kind: 'revise', dueAt: dueAt < latest ? dueAt : latest };
    },
  };
}

function throttleOf({ key, per }: NonNullable<SharingOptions['throttle']>): Sharing {
  const perMs = positive('throttle', durationMs(per, 'throttle of a flow run'));
  return {
    key: prefixed('throttle', key),
    delayMs: 0,
    shareOf: ({ created }, now) => (now < addMs(created, perMs) ? JOIN : REPLACE),
  };
}

function positive(option: 'debounce' | 'throttle', ms: number): number {
  if (ms <= 0) throw new InvalidRunOptionError(option, 'has a time of 0, in which no two calls can come.');
  return ms;
}

function prefixed(kind: 'singleton' | 'debounce' | 'throttle', key: string): string {
  if (!KEY.test(key))
    throw new InvalidRunOptionError(kind, 'needs a key of 1 to 200 characters and no NUL among them.');
  return `${RESERVED}${kind}:${key}`;
}

/** What keys begin with that nobody gives by hand. */
export const RESERVED = 'nestor:';

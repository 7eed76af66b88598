import { addMs, durationMs, instantOfMs, type Duration, type Instant } from '@nestor/core';
import type { EntityManager, QueryRunner } from 'typeorm';
import { checkedRunOptions, InvalidRunOptionError, type NewRunOptions } from '../engine/new-run-options.js';

/** How a task is delayed. */
export interface DelayOptions extends NewRunOptions {
  /**
   * A transaction of yours, on the same PostgreSQL database: the run becomes part of it. Nobody sees or executes it before the
   * commit, and a rollback leaves nothing of it.
   */
  readonly transaction?: EntityManager | QueryRunner;
  /** How long it waits before it may be executed. Default: not at all. */
  readonly in?: Duration;
  /** When it may be executed, in place of `in`; a time that is over means at once. */
  readonly at?: Date;
  /**
   * Of the runs of the task with this key at most one waits or is executed at a time: as long as there is one, a further call
   * gives that. 1 to 200 characters. Default: none.
   */
  readonly key?: string;
}

/** Options of which it is known that they can be meant. */
export interface DelayRequest extends NewRunOptions {
  readonly transaction: EntityManager | QueryRunner | null;
  readonly key: string | null;
  /** When it may be executed, as of now. */
  readonly dueAt: (now: Instant) => Instant;
}

/**
 * @throws {InvalidRunOptionError} when they cannot be meant, or cannot be kept.
 * @throws {InvalidDurationError} when `in` is no duration.
 */
export function checkedDelay({ transaction, in: pause, at, key, ...options }: DelayOptions): DelayRequest {
  if (pause !== undefined && at !== undefined) {
    throw new InvalidRunOptionError('at', 'says when, and "in" says so too; give one of them.');
  }
  const atMs = at?.getTime();
  if (Number.isNaN(atMs)) throw new InvalidRunOptionError('at', 'is no valid date.');
  if (key !== undefined && !/^[^\0]{1,200}$/su.test(key)) {
    throw new InvalidRunOptionError('key', 'must have 1 to 200 characters and no NUL among them.');
  }
  const pauseMs = pause === undefined ? 0 : durationMs(pause, 'delay of a task');
  return {
    ...checkedRunOptions(options),
    transaction: transaction ?? null,
    key: key ?? null,
    dueAt: (now) => (atMs === undefined ? addMs(now, pauseMs) : laterOf(now, instantOfMs(atMs))),
  };
}

function laterOf(one: Instant, other: Instant): Instant {
  return one > other ? one : other;
}

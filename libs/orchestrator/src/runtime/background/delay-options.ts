import type { Instant } from '@nestor/core';
import type { EntityManager, QueryRunner } from 'typeorm';
import { checkedRunOptions, InvalidRunOptionError, type NewRunOptions } from '../engine/new-run-options.js';
import { checkedDue, type DueOptions } from '../scheduling/due-options.js';

/** How a task is delayed. */
export interface DelayOptions extends NewRunOptions, DueOptions {
  /**
   * A transaction of yours, on the same PostgreSQL database: the run becomes part of it. Nobody sees or executes it before the
   * commit, and a rollback leaves nothing of it.
   */
  readonly transaction?: EntityManager | QueryRunner;
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
  if (key !== undefined && !/^[^\0]{1,200}$/su.test(key)) {
    throw new InvalidRunOptionError('key', 'must have 1 to 200 characters and no NUL among them.');
  }
  return {
    ...checkedRunOptions(options),
    transaction: transaction ?? null,
    key: key ?? null,
    dueAt: checkedDue({ ...(pause !== undefined && { in: pause }), ...(at && { at }) }, 'a task'),
  };
}

import type { Instant } from '@nestor/core';
import { checkedRunOptions, InvalidRunOptionError, type NewRunOptions } from '../engine/new-run-options.js';
import { checkedDue, type DueOptions } from './due-options.js';

/** What a run that waits is given besides its arguments. */
export interface EnqueueOptions extends NewRunOptions, DueOptions {
  /**
   * Of the runs of a flow with this key one is created, ever: whoever asks again gets the same run, whatever has become of it.
   * 1 to 500 characters. It counts for as long as the run is kept. Default: none.
   */
  readonly idempotencyKey?: string;
}

/** Options of which it is known that they can be meant. */
export interface EnqueueRequest extends NewRunOptions {
  readonly idempotencyKey: string | null;
  /** Whether a key or a time was given, which a run that begins at once has no use for. */
  readonly isDeferred: boolean;
  /** When it may be executed, as of now. */
  readonly dueAt: (now: Instant) => Instant;
}

const KEY = /^[^\0]{1,500}$/su;

/**
 * @throws {InvalidRunOptionError} when they cannot be meant, or cannot be kept.
 * @throws {InvalidDurationError} when `in` is no duration.
 */
export function checkedEnqueue({ in: pause, at, idempotencyKey, ...options }: EnqueueOptions): EnqueueRequest {
  return {
    ...checkedRunOptions(options),
    idempotencyKey: checkedIdempotencyKey(idempotencyKey),
    isDeferred: idempotencyKey !== undefined || pause !== undefined || at !== undefined,
    dueAt: checkedDue({ ...(pause !== undefined && { in: pause }), ...(at && { at }) }, 'a flow run'),
  };
}

/** @throws {InvalidRunOptionError} when it cannot be kept. */
function checkedIdempotencyKey(key: string | null | undefined): string | null {
  if (key === undefined || key === null) return null;
  if (!KEY.test(key)) {
    throw new InvalidRunOptionError('idempotencyKey', 'must have 1 to 500 characters and no NUL among them.');
  }
  return key;
}

import { durationMs, type Duration } from '@nestor/core';
import { InvalidRunOptionError } from '../engine/new-run-options.js';
import { RESERVED } from './sharing.js';

/** How calls are put together into one run. */
export interface BatchOptions {
  /** The most calls of a run: the one that fills it lets it begin at once. 1 to 10,000. */
  readonly size: number;
  /** How long the first call waits for others. */
  readonly within: Duration;
  /** Calls with the same key are put together; 1 to 200 characters. Default: all calls of the flow. */
  readonly key?: string;
}

/** Options of which it is known that they can be meant. */
export interface BatchRequest {
  readonly size: number;
  readonly withinMs: number;
  readonly key: string;
}

const MAX_SIZE = 10_000;

/**
 * @throws {InvalidRunOptionError} when they cannot be meant.
 * @throws {InvalidDurationError} when `within` is no duration.
 */
export function checkedBatch({ size, within, key = '' }: BatchOptions): BatchRequest {
  if (!Number.isInteger(size) || size < 1 || size > MAX_SIZE) {
    throw new InvalidRunOptionError('batch', `has a size of ${size}; give a whole number from 1 to ${MAX_SIZE}.`);
  }
  if (!/^[^\0]{0,200}$/su.test(key)) {
    throw new InvalidRunOptionError('batch', 'needs a key of 1 to 200 characters and no NUL among them.');
  }
  return { size, withinMs: durationMs(within, 'wait of a batch'), key: `${RESERVED}batch:${key}` };
}

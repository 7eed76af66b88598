import { addMs, type Instant } from '@nestor/core';
import type { EntityManager, QueryRunner } from 'typeorm';
import type { FairShare } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { checkedRunOptions, InvalidRunOptionError, type NewRunOptions } from '../engine/new-run-options.js';
import { checkedDue, type DueOptions } from './due-options.js';
import { checkedShare, type FairnessOptions } from './fair-share.js';
import { checkedSharing, RESERVED, type Sharing, type SharingOptions } from './sharing.js';

/** What a run that waits is given besides its arguments. */
export interface EnqueueOptions extends NewRunOptions, DueOptions, SharingOptions, FairnessOptions {
  /**
   * Of the runs of a flow with this key one is created, ever: whoever asks again gets the same run, whatever has become of it.
   * 1 to 500 characters. It counts for as long as the run is kept (option `retention`). Default: none.
   */
  readonly idempotencyKey?: string;
  /**
   * The work pool in which it waits: only processes execute it that serve it. Default: none, so that any process of the
   * application may take it that has its flow.
   */
  readonly workPool?: string;
  /** The queue of the pool, which is made where there is none. Default: its default queue. */
  readonly workQueue?: string;
  /** Of the runs of a queue that are due, the lowest goes first; a whole number from -1000 to 1000. Default 0. */
  readonly priority?: number;
  /**
   * A transaction of yours, on the same PostgreSQL database: the run becomes part of it. Nobody sees or executes it before the
   * commit, and a rollback leaves nothing of it. Default: none.
   */
  readonly transaction?: EntityManager | QueryRunner;
}

/** Options of which it is known that they can be meant. */
export interface EnqueueRequest extends NewRunOptions {
  readonly idempotencyKey: string | null;
  readonly transaction: EntityManager | QueryRunner | null;
  /** `null` when the run is not shared. */
  readonly sharing: Sharing | null;
  readonly workPool: string | null;
  readonly workQueue: string | undefined;
  readonly priority: number;
  /** `null` when it has no key of its own. */
  readonly fairShare: FairShare | null;
  /** Whether a key, a time or a place to wait was given, which a run that begins at once has no use for. */
  readonly isDeferred: boolean;
  /** When it may be executed, as of now. */
  readonly dueAt: (now: Instant) => Instant;
}

const MAX_PRIORITY = 1_000;
const KEY = /^[^\0]{1,500}$/su;

/**
 * @throws {InvalidRunOptionError} when they cannot be meant, or cannot be kept.
 * @throws {InvalidDurationError} when `in` is no duration.
 */
export function checkedEnqueue(options: EnqueueOptions): EnqueueRequest {
  const { in: pause, at, idempotencyKey, transaction, singleton, debounce, throttle, ...more } = options;
  const { workPool, workQueue, priority = 0, fairnessKey, fairnessWeight, ...others } = more;
  const fairShare = checkedShare(more);
  checkPlace(more);
  const due = { ...(pause !== undefined && { in: pause }), ...(at && { at }) };
  const sharing = checkedSharing({
    ...(singleton !== undefined && { singleton }),
    ...(debounce && { debounce }),
    ...(throttle && { throttle }),
  });
  if (sharing && idempotencyKey !== undefined) {
    throw new InvalidRunOptionError('idempotencyKey', 'does not go with "singleton", "debounce" or "throttle".');
  }
  if (sharing && Object.keys(due).length > 0) {
    throw new InvalidRunOptionError('at', 'or "in" does not go with "singleton", "debounce" or "throttle".');
  }
  if (sharing && transaction) {
    throw new InvalidRunOptionError('transaction', 'does not go with "singleton", "debounce" or "throttle".');
  }
  const dueAt = checkedDue(due, 'a flow run');
  return {
    ...checkedRunOptions(others),
    idempotencyKey: checkedIdempotencyKey(idempotencyKey),
    transaction: transaction ?? null,
    sharing,
    workPool: workPool ?? null,
    workQueue,
    priority,
    fairShare,
    isDeferred: [
      ...[idempotencyKey, transaction, workPool, more.priority, sharing ?? undefined, pause, at],
      ...[fairnessKey, fairnessWeight],
    ].some((option) => option !== undefined),
    dueAt: sharing ? (now) => addMs(now, sharing.delayMs) : dueAt,
  };
}

/** @throws {InvalidRunOptionError} when it cannot be kept. */
function checkedIdempotencyKey(key: string | undefined): string | null {
  if (key === undefined) return null;
  if (typeof key !== 'string' || !KEY.test(key)) {
    throw new InvalidRunOptionError('idempotencyKey', 'must have 1 to 500 characters and no NUL among them.');
  }
  if (key.startsWith(RESERVED)) {
    throw new InvalidRunOptionError('idempotencyKey', `must not begin with "${RESERVED}".`);
  }
  return key;
}

function checkPlace({
  workPool,
  workQueue,
  priority = 0,
}: Pick<EnqueueOptions, 'workPool' | 'workQueue' | 'priority'>): void {
  if (workQueue !== undefined && workPool === undefined) {
    throw new InvalidRunOptionError('workQueue', `is "${workQueue}", of which pool "workPool" has to say.`);
  }
  if (!Number.isInteger(priority) || Math.abs(priority) > MAX_PRIORITY) {
    throw new InvalidRunOptionError('priority', `is ${priority} and must be a whole number from -1000 to 1000.`);
  }
}

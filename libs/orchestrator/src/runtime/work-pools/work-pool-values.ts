import { jobTemplateProblems, type BaseJobTemplate, type Instant } from '@nestor/core';
import type { WorkPoolEntity } from '../../records/work-pools/work-pool.entity.js';
import type { WorkerEntity } from '../../records/work-pools/worker.entity.js';
import type { WorkQueueEntity } from '../../records/work-pools/work-queue.entity.js';
import { InvalidWorkPoolError } from './work-pool-errors.js';

/** Where runs wait for workers of one type. */
export interface WorkPool {
  readonly id: string;
  readonly name: string;
  /** Which workers serve it: `nest`, the processes of your application; or that of a worker class of your own. */
  readonly type: string;
  readonly description: string | null;
  /** How its runs are started, and which job variables there are. Empty for type `nest`, unless you give it one. */
  readonly baseJobTemplate: Partial<BaseJobTemplate>;
  readonly isPaused: boolean;
  /** How many of its runs may be executed at once, everywhere together; `null`: any number. */
  readonly concurrencyLimit: number | null;
  /** `READY` while a worker serves it. */
  readonly status: WorkPoolEntity['status'];
  readonly storageConfiguration: Readonly<Record<string, unknown>>;
  readonly created: Instant;
  readonly updated: Instant;
}

/** A lane of a pool. */
export interface WorkQueue {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly isPaused: boolean;
  /** How many of its runs may be executed at once, everywhere together; `null`: any number. */
  readonly concurrencyLimit: number | null;
  /** From 1: runs of that queue go first. No two queues of a pool have the same, and none is left out. */
  readonly priority: number;
  /** When a worker last asked for its runs; `null`: never yet. */
  readonly lastPolled: Instant | null;
  /** `READY` while workers ask for its runs. */
  readonly status: WorkQueueEntity['status'];
  readonly created: Instant;
  readonly updated: Instant;
}

/** Whoever serves a pool. */
export interface PoolWorker {
  readonly id: string;
  readonly name: string;
  /** `OFFLINE` when it has left, or was not heard of for three times its interval. */
  readonly status: WorkerEntity['status'];
  readonly lastHeartbeat: Instant;
  readonly heartbeatIntervalSeconds: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What a pool is made of. */
export interface WorkPoolOptions {
  /** Default `nest`. */
  readonly type?: string;
  /** Default: none. */
  readonly description?: string | null;
  /** Default: an empty one. */
  readonly baseJobTemplate?: Partial<BaseJobTemplate>;
  /** Whether its runs wait until somebody resumes it. Default `false`. */
  readonly paused?: boolean;
  /** A whole number from 0; default `null`: no limit. */
  readonly concurrencyLimit?: number | null;
  /** Default: none. */
  readonly storageConfiguration?: Readonly<Record<string, unknown>>;
}

/** What a queue is made of. */
export interface WorkQueueOptions {
  /** Default: empty. */
  readonly description?: string;
  /** Whether its runs wait until somebody resumes it. Default `false`. */
  readonly paused?: boolean;
  /** A whole number from 0; default `null`: no limit. */
  readonly concurrencyLimit?: number | null;
  /** Its place among the queues of the pool, from 1; those behind it move on. Default: the last. */
  readonly priority?: number;
}

/**
 * Characters that the HTTP contract and its clients give a meaning of their own in names, and NUL,
 * which no text column holds.
 */
const BANNED_IN_NAMES = /[/%&<>\0]/;
const MAX_NAME = 200;
/** Of an `integer` column. */
const MAX_INTEGER = 2_147_483_647;

/** @throws {InvalidWorkPoolError} when a pool, or a queue if one is given, cannot have that name. */
export function checkedNames(pool: string, queue: string | null = null): void {
  for (const [name, of] of [[pool, null] as const, [queue, queue] as const]) {
    if (name === null) continue;
    const problem = nameProblem(name);
    if (problem !== null) throw new InvalidWorkPoolError(pool, of, problem);
  }
}

function nameProblem(name: unknown): string | null {
  if (typeof name !== 'string' || name.trim() === '') return 'it needs a name';
  if (name.length > MAX_NAME) return `a name has at most ${MAX_NAME} characters`;
  return BANNED_IN_NAMES.test(name) ? 'a name has none of the characters / % & < >' : null;
}

/** @throws {InvalidWorkPoolError} when an option cannot be meant. */
export function checkOptions(
  pool: string,
  queue: string | null,
  {
    concurrencyLimit,
    priority,
    baseJobTemplate,
    type,
  }: Omit<WorkPoolOptions, 'description'> & Omit<WorkQueueOptions, 'description'>,
): void {
  const refuse = (problem: string): never => {
    throw new InvalidWorkPoolError(pool, queue, problem);
  };
  if (concurrencyLimit != null && !isWhole(concurrencyLimit, 0)) {
    refuse(`the concurrency limit is ${concurrencyLimit} and must be a whole number from 0, or null for none`);
  }
  if (priority !== undefined && !isWhole(priority, 1)) {
    refuse(`the priority is ${priority} and must be a whole number from 1`);
  }
  if (type !== undefined && nameProblem(type) !== null) refuse('the type must be a text such as "nest"');
  if (baseJobTemplate !== undefined) {
    const problems = jobTemplateProblems(baseJobTemplate);
    if (problems.length > 0) refuse(`the base job template cannot be used: ${problems.join('; ')}`);
  }
}

function isWhole(value: number, least: number): boolean {
  return Number.isInteger(value) && value >= least && value <= MAX_INTEGER;
}

export function workPoolOf(row: WorkPoolEntity): WorkPool {
  const { id, name, type, description, baseJobTemplate, isPaused, concurrencyLimit, status } = row;
  const { storageConfiguration, created, updated } = row;
  return {
    ...{ id, name, type, description, baseJobTemplate, isPaused, concurrencyLimit, status },
    ...{ storageConfiguration, created, updated },
  };
}

export function workQueueOf(row: WorkQueueEntity): WorkQueue {
  const { id, name, description, isPaused, concurrencyLimit, priority, lastPolled, status, created, updated } = row;
  return { id, name, description, isPaused, concurrencyLimit, priority, lastPolled, status, created, updated };
}

export function poolWorkerOf(row: WorkerEntity): PoolWorker {
  const { id, name, status, lastHeartbeatTime, heartbeatIntervalSeconds, metadata } = row;
  return { id, name, status, lastHeartbeat: lastHeartbeatTime, heartbeatIntervalSeconds, metadata };
}

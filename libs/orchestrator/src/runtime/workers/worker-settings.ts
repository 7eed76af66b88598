import type { Duration } from '@nestor/core';

/** A pool that a process serves. */
export interface WorkerPoolOptions {
  /** The name of the pool, which is made where there is none. */
  readonly name: string;
  /**
   * Which type of worker serves it: `nest` executes runs in this very process; any other is that of a class among your providers that
   * extends {@link BaseWorker}. A pool of another type gives it no runs. Default `nest`.
   */
  readonly type?: string;
  /** Only these queues of it, which are made where there are none. Default: all, also those that are made later. */
  readonly queues?: readonly string[];
  /** How many runs of the pool this process executes at a time; a whole number from 1. Default: that of the worker. */
  readonly limit?: number;
  /** How the worker is called, of which a pool has one of each name. Default: host, application and number of the process. */
  readonly workerName?: string;
}

/** Which waiting runs a process executes. */
export interface WorkerOptions {
  /** The pools that it serves. Default: none, so that it only executes runs of no queue. */
  readonly pools?: readonly (string | WorkerPoolOptions)[];
  /** Whether it executes runs of no queue, which any process of the application with their flow may take. Default `true`. */
  readonly unqueued?: boolean;
  /**
   * How many runs that waited it executes at a time, those that it took over from other processes included; what it calls or starts
   * itself does not count. A whole number from 1. Default 200.
   */
  readonly limit?: number;
  /**
   * How long before its time a run of a pool may be taken, to begin on time to the millisecond, where nothing of the pool and its
   * queues is limited; from 0 to `5m`. Default 0.
   */
  readonly prefetch?: Duration;
}

/** A pool that this process serves. */
export interface ServedPool {
  readonly name: string;
  readonly type: string;
  /** `null` for all. */
  readonly queueNames: readonly string[] | null;
  readonly limit: number;
  /** `null`: told apart by host and process. */
  readonly workerName: string | null;
}

export interface WorkerSettings {
  readonly pools: readonly ServedPool[];
  readonly unqueued: boolean;
  readonly limit: number;
  readonly prefetchMs: number;
}

/** Injection token of the {@link WorkerSettings}; `null` in a process that executes nothing that waits. */
export const WORKER_SETTINGS = Symbol('nestor.worker-settings');

import type { Duration } from '@nestor/core';

/** The type of the pools whose runs get a process each. */
export const NEST_PROCESS_TYPE = 'nest-process';
/** The type of the pools whose runs get a thread each. */
export const NEST_THREAD_TYPE = 'nest-thread';

/** A pool that a process serves. */
export interface WorkerPoolOptions {
  /** The name of the pool, which is made where there is none. */
  readonly name: string;
  /**
   * Which type of worker serves it: `nest` executes runs in this very process, `nest-process` each in a process of its
   * own, and `nest-thread` each in a thread of its own, both in the application that {@link WorkerOptions.application}
   * names; any other is that of a class among your providers that extends {@link BaseWorker}. A pool of another type gives
   * it no runs. Default `nest`.
   */
  readonly type?: string;
  /** Only these queues of it, which are made where there are none. Default: all, also those that are made later. */
  readonly queues?: readonly string[];
  /**
   * How many runs of the pool this process executes at a time; a whole number from 1. Default: that of the worker, and 5
   * where each gets a process or a thread of its own.
   */
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
   * How many runs that waited it executes at a time, those that it took over from other processes included; what it calls or
   * starts itself does not count. A whole number from 1. Default 200.
   */
  readonly limit?: number;
  /**
   * How long before its time a run of a pool may be taken, to begin on time to the millisecond, where nothing of the pool and its
   * queues is limited; from 0 to `5m`. One that is debounced waits for its time, and where runs have keys of fairness so do all others of
   * its pool meanwhile. Default 0.
   */
  readonly prefetch?: Duration;
  /**
   * Whether it looks for runs once, and is no worker any more when those that it took have ended: see `RunOnce`. It
   * takes what is due, or within `prefetch` of that, and no more than `limit` altogether. Default `false`: it goes on
   * until the application is closed.
   */
  readonly runOnce?: boolean;
  /**
   * The file from which `nest-process` and `nest-thread` start the application of a run: a path, or a `file:` URL. It
   * exports the Nest module, by whatever name; or as its default export the module or a function that gives it.
   * Nothing else of the application is started, such as its `main`. Relative to the working directory. Default: none,
   * and such pools cannot be served.
   */
  readonly application?: string | URL;
  /**
   * How long what was started for a run may take to end by itself, once the run is cancelled or this process shuts down;
   * then it is ended by force. Default `30s`.
   */
  readonly killGrace?: Duration;
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
  readonly runOnce: boolean;
  /** `null`: none is named. */
  readonly application: string | null;
  readonly killGraceMs: number;
}

/** Injection token of the {@link WorkerSettings}; `null` in a process that executes nothing that waits. */
export const WORKER_SETTINGS = Symbol('nestor.worker-settings');

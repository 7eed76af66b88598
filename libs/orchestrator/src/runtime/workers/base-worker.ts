// How a type of worker is built: extend BaseWorker, list the class among the providers of the application, and name a pool
// of its type in option `worker.pools`. The rest is done around it, by `InfrastructureRuns`: runs are claimed under the
// limits of pool, queue and worker; they are PENDING, then PENDING "Submitting"; the job template of the pool is filled in;
// `run` is called; what it reports is kept as `infrastructure_pid`; whoever cancels the run has `kill` called; and how the
// infrastructure ended becomes the state of a run that did not end by itself.
//
// Between worker and infrastructure the lease changes hands. The worker holds the run under `job.lease`; what it starts is
// to call `HandedOverRuns.execute(job.lease)` in an application that has the flow, which takes the run over, once, and
// executes it like any other claimed run: with a lease of its own, so that the worker may be gone meanwhile. If that never
// happens, the run is taken back after `pendingTimeout`, and the lease that was handed out is good for nothing any more.
//
// What outlives its worker (`outlivesProcess`) is noted in the database until it has ended. When its run needs it no more
// and its worker is gone, another process that serves the pool with the same class has `kill` called: at least once, three
// times at most, after which it is a dead letter: see `TearDowns`.

import type { BaseJobTemplate } from '@nestor/core';
import type { WorkPool, WorkQueue } from '../work-pools/work-pool-values.js';

/** By which right the infrastructure of a run takes it over. Plain JSON, to be put into its environment. */
export interface HandedLease {
  readonly flowRunId: string;
  readonly epoch: number;
}

/** A run that infrastructure is to be started for. */
export interface WorkerJob {
  readonly flowRunId: string;
  /** What people call the run. */
  readonly flowRunName: string;
  readonly flowName: string;
  readonly deploymentId: string | null;
  /** What the template of the pool says, with the variables of deployment and run filled in. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** What the infrastructure is given, to take the run over. */
  readonly lease: HandedLease;
  /** Fires when nobody waits for the infrastructure any more; {@link BaseWorker.kill} is called besides, once it is known. */
  readonly signal: AbortSignal;
  /**
   * To be called as soon as the infrastructure has a name: a process, a container, a job of a cluster. From then on it can be
   * killed, by whichever process. Durable when it resolves.
   */
  started(identifier: string): Promise<void>;
}

/** A pool that a process serves, as it is now. */
export interface PoolSettings {
  readonly pool: WorkPool;
  /** Those of its queues that the process serves, the first to go first. */
  readonly queues: readonly WorkQueue[];
}

/** How infrastructure ended. */
export interface JobEnd {
  /** 0: as it should; `null`: it has none, because a signal ended it. */
  readonly exitCode: number | null;
  /** The signal that ended it, such as `SIGKILL`. */
  readonly signal?: string | null;
  /** What there is to say about it. Default: what is known of such codes. */
  readonly message?: string;
  /**
   * Of infrastructure that ended otherwise than it should: whether its run goes on from its records, like that of a process
   * which died, as long as `maxRecoveries` of them remain. Otherwise, and when they are used up, it is `CRASHED`. Default:
   * whether it had taken the run over; what ends before that is most likely to do so again. Whoever had taken the run over
   * counts as dead then, with all that it executes.
   */
  readonly goesOn?: boolean;
  /**
   * Whether nothing is known of how it ended, and nothing is to be noted: it goes on without this process, and has the run
   * by its own lease. Default `false`.
   */
  readonly unattended?: boolean;
}

/**
 * A type of worker: starts infrastructure for runs, and knows how it ended.
 *
 * @example
 * ```ts
 * @Injectable()
 * export class ScriptWorker extends BaseWorker {
 *   readonly type = 'script';
 *   override readonly baseJobTemplate = {
 *     job_configuration: { command: '{{ command }}' },
 *     variables: { type: 'object', properties: { command: { type: 'string', default: 'node run.js' } } },
 *   };
 *
 *   async run({ configuration, lease, started }: WorkerJob): Promise<JobEnd> {
 *     const child = spawn(String(configuration.command), { shell: true, env: { ...process.env, LEASE: JSON.stringify(lease) } });
 *     await started(String(child.pid));
 *     const [exitCode, signal] = (await once(child, 'exit')) as [number | null, string | null];
 *     return { exitCode, signal };
 *   }
 *
 *   async kill(identifier: string): Promise<void> {
 *     process.kill(Number(identifier), 'SIGTERM');
 *   }
 * }
 * ```
 */
export abstract class BaseWorker {
  /** The type of the pools that it serves: a text of its own. */
  abstract readonly type: string;

  /** The template of the pools of this type that are made because option `worker.pools` names them. */
  readonly baseJobTemplate: Partial<BaseJobTemplate> = {};

  /** Whether what it starts goes on when this process ends. What does not is killed then, so that its run goes on elsewhere. */
  readonly outlivesProcess: boolean = false;

  /**
   * Starts infrastructure for a run, and resolves when that has ended.
   *
   * @throws whatever keeps it from being started: then the run is `CRASHED`, and says so.
   */
  abstract run(job: WorkerJob): Promise<JobEnd>;

  /**
   * Ends infrastructure: asks it to, and ends it by force when `graceMs` are over. One that is gone is no error: it may be
   * called more than once, and of what outlives its process by other processes than the one that started it.
   *
   * @param identifier as {@link WorkerJob.started} was told.
   * @param configuration that of its job; empty where its run or its pool are gone.
   * @throws whatever keeps it from being ended: then it is tried again.
   */
  abstract kill(identifier: string, configuration: Readonly<Record<string, unknown>>, graceMs: number): Promise<void>;

  /**
   * Told of a pool that this process serves with this class: when it begins to, and when somebody has changed the pool or
   * its queues, at once, or within seconds where notifications do not get through. Nothing has to be done here: what is
   * paused or limited gives no runs, and the next job has the new template. An error is logged.
   */
  poolChanged?(settings: PoolSettings): void | Promise<void>;
}

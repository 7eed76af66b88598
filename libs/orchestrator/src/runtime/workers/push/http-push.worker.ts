import { Inject, Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { FlowRunsRepository } from '../../../records/flow-runs/flow-runs.repository.js';
import { pause } from '../../engine/wait-until.js';
import { References } from '../../references/references.service.js';
import { Journal } from '../../transitions/journal.js';
import { BaseWorker, type HandedLease, type JobEnd, type WorkerJob } from '../base-worker.js';
import { WORKER_SETTINGS, type WorkerSettings } from '../worker-settings.js';
import { post } from './push-call.js';
import { PushFailedError } from './push-errors.js';
import { pushRequestOf, type PushRequest } from './push-request.js';
import { HTTP_PUSH_TYPE, PUSH_TEMPLATE } from './push-template.js';
import { PushedRuns } from './pushed-runs.js';

type Configuration = Readonly<Record<string, unknown>>;

/** What a job says once all references in it are resolved. */
interface Resolved {
  readonly configuration: Configuration;
  /** Those that are in it by now. */
  readonly secrets: readonly string[];
}

const LONGEST_PAUSE_MS = 60_000;
const MOST_IDENTIFIER = 500;
const AS_IT_SHOULD: JobEnd = { exitCode: 0 };
const UNATTENDED: JobEnd = { exitCode: null, unattended: true };
const NOT_PUSHED: JobEnd = {
  exitCode: null,
  goesOn: true,
  message: 'Its orchestrator shut down before it was pushed.',
};

/**
 * Posts each run to a URL, behind which something starts an application that takes it over: a function, a job of a cluster,
 * a container. What it is told is the lease of the run, besides the job of the template of the pool. Nobody waits there for
 * runs, and nobody has to be alive here once it has been told: the run is then a matter between it and the database.
 */
@Injectable()
export class HttpPushWorker extends BaseWorker implements OnModuleDestroy {
  readonly type = HTTP_PUSH_TYPE;
  override readonly baseJobTemplate = PUSH_TEMPLATE;
  override readonly outlivesProcess = true;
  private readonly logger = new Logger(HttpPushWorker.name);
  private readonly pushed: PushedRuns;
  /** Of what is under way, by its identifier. */
  private readonly leases = new Map<string, HandedLease>();
  private readonly stopping = new AbortController();

  constructor(
    private readonly references: References,
    private readonly journal: Journal,
    flowRuns: FlowRunsRepository,
    @Inject(WORKER_SETTINGS) private readonly settings: WorkerSettings | null,
  ) {
    super();
    this.pushed = new PushedRuns(
      (ids) => flowRuns.observed(ids),
      (error) => this.logger.warn(`It could not be found out how runs stand that were pushed: ${String(error)}`),
    );
  }

  /** Leaves what was pushed to itself. */
  onModuleDestroy(): void {
    this.stopping.abort();
    this.pushed.stop();
  }

  async run(job: WorkerJob): Promise<JobEnd> {
    try {
      return await this.pushAndFollow(job);
    } finally {
      for (const [identifier, lease] of this.leases) if (lease === job.lease) this.leases.delete(identifier);
    }
  }

  private async pushAndFollow(job: WorkerJob): Promise<JobEnd> {
    const resolved = await this.resolved(job.configuration);
    const failure = await this.push(job, pushRequestOf(resolved.configuration), resolved);
    if (job.signal.aborted) return (await this.isWaiting(job.lease)) ? UNATTENDED : AS_IT_SHOULD;
    if (!failure) return this.untilOver(job);
    // Whoever is pushed to executes other runs as well, and is not dead for having refused this one.
    return this.stopping.signal.aborted ? NOT_PUSHED : { exitCode: null, goesOn: false, message: failure.message };
  }

  /**
   * Tells the other side that a run is cancelled, or goes on elsewhere, where it wants to know; the run hears of it by
   * itself besides. A run that only this process has lost sight of goes on.
   */
  async kill(identifier: string, configuration: Configuration): Promise<void> {
    const lease = this.leases.get(identifier);
    const state = lease && (await this.journal.patiently(() => this.pushed.stateOf(lease)));
    if (state === 'waits' || state === 'runs') return;
    const { configuration: resolved, secrets } = await this.resolved(configuration);
    const request = pushRequestOf(resolved);
    if (!request.cancelUrl) return;
    const { signal } = this.stopping;
    const told = { document: { identifier }, key: `cancel:${identifier}` };
    await post(request, { to: request.cancelUrl, ...told, secrets, signal });
  }

  /** Posts a job until it is accepted, or nothing comes of that any more; gives why it was not. */
  private async push(
    job: WorkerJob,
    request: PushRequest,
    { configuration: { request: _, ...document }, secrets }: Resolved,
  ): Promise<PushFailedError | null> {
    const { flowRunId, flowRunName, flowName, deploymentId, lease, signal } = job;
    const told = {
      lease,
      flow_run: { id: flowRunId, name: flowRunName },
      flow: { name: flowName },
      deployment: deploymentId === null ? null : { id: deploymentId },
      ...document,
    };
    const key = `${flowRunId}:${lease.epoch}`;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { identifier } = await post(request, { to: request.url, document: told, key, secrets, signal });
        await this.begun(job, identifierOf(identifier) ?? `push:${key}`);
        return null;
      } catch (error) {
        if (!(error instanceof PushFailedError)) throw error;
        if (signal.aborted) return error;
        // Whoever did not answer in time may have begun all the same: then it was accepted.
        if (error.isPassing && !(await this.isWaiting(lease))) return null;
        if (!error.isPassing || attempt >= request.attempts || this.stopping.signal.aborted) return error;
        const pauseMs = Math.min(request.delayMs * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
        this.logger.warn(`${error.message} It is pushed again.`);
        await pause(Math.max(pauseMs, error.retryAfterMs ?? 0), AbortSignal.any([signal, this.stopping.signal]));
        if (signal.aborted || this.stopping.signal.aborted) return error;
      }
    }
  }

  private async begun(job: WorkerJob, identifier: string): Promise<void> {
    this.leases.set(identifier, job.lease);
    await job.started(identifier);
  }

  /** Whether nobody has taken a run over, and somebody still may. */
  private async isWaiting(lease: HandedLease): Promise<boolean> {
    return (await this.journal.patiently(() => this.pushed.stateOf(lease))) === 'waits';
  }

  /**
   * Until the run has ended, or is no matter of what was started for it; so long it counts against the limit of this worker.
   * One that is cancelled has its grace to end by itself.
   */
  private untilOver({ lease, signal }: WorkerJob): Promise<JobEnd> {
    const graceMs = this.settings?.killGraceMs ?? 0;
    let abortedAt: number | null = null;
    return new Promise((resolve) => {
      this.pushed.watch(lease, (state) => {
        if (signal.aborted) abortedAt ??= performance.now();
        const isLost = abortedAt !== null && state === 'waits'; // this process is out: what was pushed may begin all the same
        const isLate = abortedAt !== null && performance.now() - abortedAt >= graceMs;
        const end = state === 'left' || isLost ? UNATTENDED : state === 'over' || isLate ? AS_IT_SHOULD : null;
        if (end) resolve(end);
        return end !== null;
      });
    });
  }

  private async resolved(configuration: Configuration): Promise<Resolved> {
    const secrets: string[] = [];
    const resolved = await this.references.revealedIn(configuration, (secret) => secrets.push(String(secret)));
    return { configuration: resolved as Configuration, secrets };
  }
}

function identifierOf(identifier: unknown): string | null {
  return typeof identifier === 'string' && identifier !== '' ? identifier.slice(0, MOST_IDENTIFIER) : null;
}

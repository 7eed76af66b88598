import { pending, StateType, submitting } from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { ClaimedFlowRun } from '../../records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from '../../records/flow-runs/flow-runs.repository.js';
import { withinMs } from '../engine/wait-until.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { WakeableLoop } from '../loops/wakeable-loop.js';
import { topicsOf } from '../notifications/notifier.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { TransitionService } from '../transitions/transition.service.js';
import type { BaseWorker, JobEnd, WorkerJob } from './base-worker.js';
import { InfrastructureEnds } from './infrastructure-ends.service.js';
import { InfrastructureJob } from './infrastructure-job.js';
import { InfrastructureNotes } from './infrastructure-notes.service.js';
import { WORKER_SETTINGS, type WorkerSettings } from './worker-settings.js';

/** How long a change that nobody told of may go unnoticed. */
const EVERY_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** How long what is killed at the end may take beyond its grace. */
const LAST_WORDS_MS = 5_000;

/** Starts infrastructure for claimed runs, and follows it to its end: see `base-worker.ts`. */
@Injectable()
export class InfrastructureRuns {
  private readonly logger = new Logger(InfrastructureRuns.name);
  private readonly jobs = new Map<string, InfrastructureJob>();
  private readonly loop = new WakeableLoop(
    'Watching infrastructure',
    this.logger,
    () => this.round(),
    AFTER_FAILURE_MS,
  );
  private listens = false;

  constructor(
    private readonly transitions: TransitionService,
    private readonly flowRuns: FlowRunsRepository,
    private readonly notes: InfrastructureNotes,
    private readonly ends: InfrastructureEnds,
    private readonly registry: FlowRegistry,
    private readonly process: ProcessLease,
    private readonly loops: Loops,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    @Inject(WORKER_SETTINGS) private readonly worker: WorkerSettings | null,
  ) {}

  /**
   * Has a claimed run executed by a worker.
   *
   * @returns when its infrastructure has ended. Never rejects: the state of the run says how it ended.
   */
  async execute(claimed: ClaimedFlowRun, worker: BaseWorker): Promise<void> {
    this.listen();
    const live = this.transitions.adopt(claimed);
    const job = new InfrastructureJob(live, worker);
    live.lease.onLost = () => this.kill(job);
    this.jobs.set(live.created.id, job);
    try {
      await this.submit(job);
    } catch (error) {
      // Of a run that is lost to this process somebody else notes it.
      if (!live.lease.lost)
        this.logger.error(`What became of flow run ${live.created.id} could not be noted: ${String(error)}`);
    } finally {
      // A run that was taken back may be here again by now.
      if (this.jobs.get(live.created.id) === job) this.jobs.delete(live.created.id);
      this.process.release(live.lease);
      job.end();
    }
  }

  /**
   * Waits for what is under way, as long as the shutdown waits for runs; then kills what would end with this process
   * anyway. Always resolves.
   */
  async drain(): Promise<void> {
    const all = (): InfrastructureJob[] => [...this.jobs.values()];
    const ended = (jobs: InfrastructureJob[]): Promise<unknown> => Promise.all(jobs.map((job) => job.ended));
    await withinMs(ended(all()), this.settings.drainMs);
    const mortal = all().filter(({ worker }) => !worker.outlivesProcess);
    for (const job of mortal) {
      job.isLeft = true;
      this.kill(job);
    }
    await withinMs(ended(mortal), mortal.length > 0 ? this.killGraceMs + LAST_WORDS_MS : 0);
    await this.loop.stop();
  }

  /** How long infrastructure may take to end by itself, once it was asked to. */
  private get killGraceMs(): number {
    return this.worker?.killGraceMs ?? 0;
  }

  private listen(): void {
    if (this.listens) return;
    this.listens = true;
    this.process.listen({
      notified: (payload) => {
        const topics = payload === null ? null : topicsOf(payload);
        if (topics?.some((topic) => topic.startsWith('run:') && this.jobs.has(topic.slice(4))) ?? true)
          this.loop.wake();
      },
    });
    this.loops.start('infrastructure', this.loop);
  }

  private async submit(job: InfrastructureJob): Promise<void> {
    const { live, worker } = job;
    await this.transitions.proposeForFlowRun(live, pending());
    const answer = await this.transitions.proposeForFlowRun(live, submitting());
    if (answer.state?.type !== StateType.Pending) return; // somebody has ended it, or paused its queue, a moment ago
    let end: JobEnd;
    let isGone = true;
    try {
      end = await worker.run(await this.describe(job));
    } catch (error) {
      isGone = false;
      end = { exitCode: null, message: `Its infrastructure could not be started: ${String(error)}` };
    }
    const isLeftAlone = end.unattended === true;
    await this.notes.ended(job, isGone && !isLeftAlone);
    if (!isLeftAlone) await this.ends.conclude(job, end);
  }

  private async describe(job: InfrastructureJob): Promise<WorkerJob> {
    const { created, image, lease } = job.live;
    job.configuration = await this.notes.configurationOf(job);
    return {
      flowRunId: created.id,
      flowRunName: created.name,
      flowName: this.registry.getFlowById(created.flowId).name,
      deploymentId: image.deploymentId ?? null,
      configuration: job.configuration,
      lease: { flowRunId: created.id, epoch: lease.epoch },
      signal: job.signal,
      started: async (identifier) => {
        job.identifier = identifier;
        await this.notes.started(job, identifier);
        if (job.signal.aborted)
          this.kill(job); // before it had a name
        else this.loop.wake();
      },
    };
  }

  private async round(): Promise<number> {
    const ids = [...this.jobs.keys()];
    for (const row of ids.length === 0 ? [] : await this.flowRuns.observed(ids)) {
      const job = this.jobs.get(row.id);
      if (!job) continue;
      const { epoch } = job.live.lease;
      // What waits in a process, for its next attempt, does so in this very infrastructure.
      const waits = row.stateType === StateType.Scheduled && row.processId === null;
      const isElsewhere = row.leaseEpoch > (waits ? epoch : epoch + 1);
      const isOver = row.stateType === StateType.Cancelled || row.stateType === StateType.Crashed;
      if (isElsewhere || isOver || row.stateType === StateType.Cancelling) this.kill(job);
    }
    return EVERY_MS;
  }

  /** What could not be ended is tried again with the next look. */
  private kill(job: InfrastructureJob): void {
    job
      .kill(this.killGraceMs)
      .catch((error: unknown) =>
        this.logger.warn(
          `The infrastructure ${job.identifier} of ${job.live.created.name} was not ended: ${String(error)}`,
        ),
      );
  }
}

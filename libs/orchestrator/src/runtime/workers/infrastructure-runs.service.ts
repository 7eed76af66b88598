import {
  awaitingResume,
  cancelled,
  crashed,
  dueAgain,
  isTerminal,
  pending,
  type ProposedState,
  StateType,
  submitting,
} from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { FlowRunClaimsRepository, type ClaimedFlowRun } from '../../records/flow-runs/flow-run-claims.repository.js';
import { InfrastructureRepository } from '../../records/infrastructure/infrastructure.repository.js';
import { ProcessesRepository } from '../../records/processes/processes.repository.js';
import { FlowRunsRepository, type LoadedFlowRun } from '../../records/flow-runs/flow-runs.repository.js';
import { withinMs } from '../engine/wait-until.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Loops } from '../loops/loops.service.js';
import { Notifier, topicsOf } from '../notifications/notifier.service.js';
import { WakeableLoop } from '../recovery/wakeable-loop.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { Journal } from '../transitions/journal.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { RunClosing } from '../transitions/run-closing.service.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { TransitionService } from '../transitions/transition.service.js';
import type { BaseWorker, JobEnd, WorkerJob } from './base-worker.js';
import { configurationOfJob } from './configuration-of-job.js';
import { explanationOf } from './job-end.js';
import { WORKER_SETTINGS, type WorkerSettings } from './worker-settings.js';

/** How long a change that nobody told of may go unnoticed. */
const EVERY_MS = 5_000;
const AFTER_FAILURE_MS = 1_000;
/** How long what is killed at the end may take beyond its grace. */
const LAST_WORDS_MS = 5_000;

/**
 * Starts infrastructure for claimed runs, and follows it to its end: see `base-worker.ts`. What becomes of a run is decided by the
 * rules like everything else, and by the epoch of its lease: once somebody else goes on with it, how this infrastructure ends is no
 * matter of the run.
 */
@Injectable()
export class InfrastructureRuns {
  private readonly logger = new Logger(InfrastructureRuns.name);
  private readonly jobs = new Map<string, Job>();
  private readonly loop = new WakeableLoop(
    'Watching infrastructure',
    this.logger,
    () => this.round(),
    AFTER_FAILURE_MS,
  );
  private listens = false;

  constructor(
    private readonly transitions: TransitionService,
    private readonly storedRuns: StoredRuns,
    private readonly closing: RunClosing,
    private readonly claims: FlowRunClaimsRepository,
    private readonly infrastructure: InfrastructureRepository,
    private readonly flowRuns: FlowRunsRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly registry: FlowRegistry,
    private readonly process: ProcessLease,
    private readonly processes: ProcessesRepository,
    private readonly notifier: Notifier,
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
    const job = new Job(live, worker);
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
   * Waits for what is under way, as long as the shutdown waits for runs; then kills what would end with this process anyway. Always
   * resolves.
   */
  async drain(): Promise<void> {
    const all = (): Job[] => [...this.jobs.values()];
    const ended = (jobs: Job[]): Promise<unknown> => Promise.all(jobs.map((job) => job.ended));
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

  private async submit(job: Job): Promise<void> {
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
    await this.noteEnded(job, isGone && !isLeftAlone);
    if (!isLeftAlone) await this.conclude(job, end);
  }

  private async describe(job: Job): Promise<WorkerJob> {
    const { created, lease } = job.live;
    job.configuration = await this.journal.patiently(() => configurationOfJob(this.claims, created.id));
    return {
      flowRunId: created.id,
      flowRunName: created.name,
      flowName: this.registry.getFlowById(created.flowId).name,
      deploymentId: job.live.image.deploymentId ?? null,
      configuration: job.configuration,
      lease: { flowRunId: created.id, epoch: lease.epoch },
      signal: job.signal,
      started: async (identifier) => {
        job.identifier = identifier;
        await this.journal.patiently(() => this.noteStarted(job, identifier));
        if (job.signal.aborted)
          this.kill(job); // before it had a name
        else this.loop.wake();
      },
    };
  }

  /** What outlives this process is noted besides, for others to end it when its run needs it no more. */
  private async noteStarted({ live: { created, lease }, worker }: Job, identifier: string): Promise<void> {
    const { processId } = this.process;
    const started = { id: newId(), flowRunId: created.id, leaseEpoch: lease.epoch, type: worker.type, identifier };
    const noteOnRun = (tx: Tx): Promise<void> =>
      this.claims.noteInfrastructure(tx, created.id, lease.epoch, identifier);
    const noteByItself = (tx: Tx): Promise<void> => this.infrastructure.noteStarted(tx, { ...started, processId });
    if (worker.outlivesProcess) await this.transactions.together([noteOnRun, noteByItself]);
    else await this.transactions.single(noteOnRun);
  }

  /** @param isGone otherwise nobody knows, and somebody is to end it once its run needs it no more. */
  private async noteEnded({ live: { created, lease }, worker, identifier }: Job, isGone: boolean): Promise<void> {
    if (!worker.outlivesProcess || identifier === null) return;
    await this.journal.patiently(() =>
      this.transactions.single((tx) =>
        isGone
          ? this.infrastructure.noteEnded(tx, created.id, lease.epoch)
          : this.infrastructure.letGo(tx, created.id, lease.epoch),
      ),
    );
  }

  /** What becomes of a run whose infrastructure has ended, unless it came to something by itself. */
  private async conclude(job: Job, end: JobEnd): Promise<void> {
    const { live, isLeft } = job;
    const { id } = live.created;
    const { epoch } = live.lease;
    const isAsItShould = end.exitCode === 0;
    if (!isAsItShould && end.goesOn !== false) await this.fence(job);
    // Under the next epoch it was taken over by this very infrastructure; under any other it is somebody else's.
    const isOurs = ({ row }: LoadedFlowRun): boolean => row.leaseEpoch === epoch || row.leaseEpoch === epoch + 1;
    const isOpen = (found: LoadedFlowRun): boolean => {
      const { row } = found;
      const wasTaken = row.leaseEpoch === epoch + 1;
      switch (row.stateType) {
        case StateType.Cancelling:
          return isOurs(found);
        case StateType.Pending:
          return isOurs(found) && (isLeft || !isAsItShould || !wasTaken);
        case StateType.Running:
          // Whoever executed what is left has handed it back, or is swept.
          return isOurs(found) && !isAsItShould && (!isLeft || goesOn(job, found, end));
        default:
          return false;
      }
    };
    const entered = await this.journal.patiently(() =>
      this.storedRuns.proposeOnce(id, isOpen, (found) => this.stateAfter(found, job, end)),
    );
    if (entered === StateType.Scheduled) this.notifier.notify('due');
    if (entered && isTerminal(entered)) await this.closing.closeWithin([id]);
  }

  private stateAfter(found: LoadedFlowRun, job: Job, end: JobEnd): ProposedState {
    const { row, run } = found;
    if (row.stateType === StateType.Cancelling) return cancelled({ message: 'Its infrastructure has ended.' });
    const scheduledTime = dueAgain(run, this.transitions.now());
    // What was ended because this process ends is no matter of the run: it goes on elsewhere.
    if (job.isLeft) return awaitingResume({ scheduledTime, message: 'Its worker shut down.' });
    if (end.exitCode === 0) return crashed({ message: 'Its infrastructure ended without having begun it.' });
    const message = explanationOf(end);
    return goesOn(job, found, end) && run.policy.recoveries < run.policy.maxRecoveries
      ? awaitingResume({ scheduledTime, message, details: { interrupted: true } })
      : crashed({ message });
  }

  /** What it had begun to write before it ended is written before anybody goes on with its run. */
  private async fence({ live: { created, lease } }: Job): Promise<void> {
    const { processId } = this.process;
    await this.journal.patiently(() =>
      this.transactions.single((tx) => this.processes.fenceHolder(tx, created.id, lease.epoch + 1, processId)),
    );
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

  /** Ends infrastructure, once; what has no name yet is ended when it has one. */
  private kill(job: Job): void {
    job.abort();
    if (job.identifier === null || job.isKilled) return;
    job.isKilled = true;
    job.worker.kill(job.identifier, job.configuration, this.killGraceMs).catch((error: unknown) => {
      job.isKilled = false; // the next look tries again
      this.logger.warn(
        `The infrastructure ${job.identifier} of ${job.live.created.name} was not ended: ${String(error)}`,
      );
    });
  }
}

/** Whether a run goes on whose infrastructure ended otherwise than it should: one that had begun is a run whose process died. */
function goesOn({ live }: Job, { row }: LoadedFlowRun, end: JobEnd): boolean {
  return end.goesOn ?? row.leaseEpoch === live.lease.epoch + 1;
}

/** Infrastructure on its way. */
class Job {
  identifier: string | null = null;
  configuration: Readonly<Record<string, unknown>> = {};
  isKilled = false;
  /** It is ended because this process ends. */
  isLeft = false;
  readonly ended: Promise<void>;
  end: () => void = () => undefined;
  private readonly controller = new AbortController();

  constructor(
    readonly live: LiveFlowRun,
    readonly worker: BaseWorker,
  ) {
    this.ended = new Promise((resolve) => (this.end = resolve));
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  abort(): void {
    this.controller.abort();
  }
}

import { hostname } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { channelOf, channelOfDue, channelOfProcess } from '../../persistence/channels.js';
import { newId } from '../../persistence/ids.js';
import type { OrchestratorDataSource } from '../../persistence/orchestrator-data-source.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { Transactions } from '../../persistence/transactions.js';
import { ProcessesRepository } from '../../records/processes/processes.repository.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { pause, withinMs } from '../engine/wait-until.js';
import { isPassive } from '../passive-start.js';
import type { LeaseKeeperSettings, LeaseNews, LeaseOrder } from './lease-messages.js';
import { LeaseProof } from './lease-proof.js';
import { DEATH_RULES, HEARTBEAT_MS } from './lease-settings.js';
import { leaseStatements } from './lease-statements.js';
import { ProcessAbilities } from './process-abilities.js';
import { RunLease } from './run-lease.js';
import { LEASE_THREAD_FILE } from './thread-file.js';

/** How often the event loop proves to the thread that it turns. */
const PULSE_MS = 500;

/** How long leaving may take: a server that lost its network never answers. */
const LEAVE_WITHIN_MS = 1_000;

/** How long joining waits for the first heartbeat: a thread that gets no session of its own tries on, and holds nothing up. */
const FIRST_BEAT_WITHIN_MS = 1_000;

/** Between attempts to join again while the database is away. */
const REJOIN_MS = 500;

/** What the lease's session brings besides the lease. */
export interface LeaseListener {
  /** Other processes of the application that seem to be dead. */
  deadPeers?(ids: readonly string[]): void;
  /** A notification on one of our channels; `null` after the session was made anew, when some may have been missed. */
  notified?(payload: string | null): void;
  /** The process was fenced and goes on under a new id; the runs it executed are waiting for somebody. */
  rejoined?(): void;
}

/**
 * This process among those that execute runs: its row, its lease, and the leases of the runs it executes.
 *
 * A thread of its own sends the heartbeats, holds the lock and listens. When others take the process for dead, all runs it
 * executed are lost to it; it joins again under a new id and goes on with new ones.
 */
@Injectable()
export class ProcessLease implements OnModuleInit, OnApplicationBootstrap {
  private readonly logger = new Logger(ProcessLease.name);
  private readonly listeners: LeaseListener[] = [];
  /** By root run. */
  private readonly held = new Map<string, RunLease>();
  private own = new RunLease(null, 0);
  private readonly pulse = new SharedArrayBuffer(8);
  private proof = new LeaseProof();
  /** For those who wait for a proof. */
  private proven: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null;
  private id = newId();
  private thread: Worker | null = null;
  private pulseTimer: NodeJS.Timeout | null = null;
  private renewing: Promise<void> | null = null;
  private left = false;
  /** Whether the flows of this process are registered, so that it can say what it executes. */
  private isReady = false;
  /** Whether the session of the lease turned out to be lent out per transaction. */
  private pooled = false;

  constructor(
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
    private readonly transactions: Transactions,
    private readonly processes: ProcessesRepository,
    private readonly abilities: ProcessAbilities,
  ) {}

  /** The id under which this process writes at present. */
  get processId(): string {
    return this.id;
  }

  async onModuleInit(): Promise<void> {
    if (isPassive()) {
      this.left = true;
      return;
    }
    const pulse = new BigInt64Array(this.pulse);
    const beat = (): unknown => Atomics.store(pulse, 0, process.hrtime.bigint());
    beat();
    await this.join();
    this.pulseTimer = setInterval(beat, PULSE_MS);
    this.pulseTimer.unref();
  }

  /** Says what it executes, now that all flows are registered. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.left) return;
    this.isReady = true;
    await this.describe();
  }

  /** Says what it executes, and where it takes runs from, as that is now. Never rejects. */
  async describe(): Promise<void> {
    const { id } = this;
    try {
      await this.transactions.single((tx) => this.processes.describe(tx, { id, ...this.described() }));
    } catch (error) {
      this.logger.warn(`Others are not told what this process executes: ${String(error)}`);
    }
  }

  listen(listener: LeaseListener): void {
    this.listeners.push(listener);
  }

  /**
   * Whether a body of a leased run may begin: `null` when nobody else can be executing the run. Otherwise ask again when the
   * promise resolves: with the next heartbeat that the database takes, or when runs were lost, or at the end. Never rejects.
   */
  readonly clearance = (): Promise<void> | null => {
    return this.proof.holds || this.left ? null : this.nextProof();
  };

  /** Notes that this process executes a root run from now on; whatever of it executed the run before has lost it. */
  grant(rootFlowRunId: string, epoch: number): RunLease {
    this.held.get(rootFlowRunId)?.lose();
    const lease = new RunLease(rootFlowRunId, epoch);
    this.held.set(rootFlowRunId, lease);
    return lease;
  }

  /** Notes that it does not any more. */
  release(lease: RunLease): void {
    const { rootFlowRunId } = lease;
    if (rootFlowRunId !== null && this.held.get(rootFlowRunId) === lease) this.held.delete(rootFlowRunId);
  }

  /** What is written outside any flow run, under the present id of the process. */
  get ownLease(): RunLease {
    return this.own;
  }

  /**
   * Called by whoever finds that `processId` was fenced: gives up all runs, and joins again under a new id.
   *
   * @returns when the new id may write. Never rejects.
   */
  fencedOut(processId: string): Promise<void> {
    if (processId !== this.id || this.left) return this.renewing ?? Promise.resolve();
    return (this.renewing ??= this.renew().finally(() => (this.renewing = null)));
  }

  /** Ends the thread and takes the process off the list; by then nothing is executed any more. Always resolves. */
  async leave(): Promise<void> {
    if (this.left) return;
    this.left = true;
    this.letGoOn();
    if (this.pulseTimer) clearInterval(this.pulseTimer);
    const left = this.transactions
      .single((tx) => this.processes.leave(tx, this.id))
      .catch((error: unknown) => {
        this.logger.warn(`The process could not be taken off the list; its lease runs out by itself. ${String(error)}`);
      });
    await Promise.all([this.stopThread(), withinMs(left, LEAVE_WITHIN_MS)]);
  }

  private async join(): Promise<void> {
    const { app, buildId } = this.settings;
    this.proof = new LeaseProof();
    const known = this.isReady ? this.described() : { buildId };
    const process_ = { id: this.id, app, host: hostname(), pid: process.pid, ...known };
    await this.transactions.single((tx) => this.processes.join(tx, process_));
    if (this.left) return;
    this.startThread();
    // Until the lock is held, a death is only noticed when the lease runs out: nothing is executed before.
    await withinMs(this.nextProof(), FIRST_BEAT_WITHIN_MS);
  }

  private described(): Pick<ProcessAbilities, 'buildId' | 'flowIds' | 'serves'> {
    const { buildId, flowIds, serves } = this.abilities;
    return { buildId, flowIds, serves };
  }

  private async renew(): Promise<void> {
    this.logger.warn(
      `This process was taken for dead and fenced; ${this.held.size} runs it executed are lost to it. It goes on under a new id.`,
    );
    const lost = [...this.held.values(), this.own];
    this.held.clear();
    this.own = new RunLease(null, 0);
    for (const lease of lost) lease.lose();
    this.letGoOn();
    await this.stopThread();
    this.id = newId();
    while (!this.left) {
      try {
        await this.join();
        for (const listener of this.listeners) listener.rejoined?.();
        return;
      } catch (error) {
        this.logger.warn(`The process could not join again yet: ${String(error)}`);
        await pause(REJOIN_MS);
      }
    }
  }

  private nextProof(): Promise<void> {
    if (!this.proven) {
      let resolve = (): void => undefined;
      const promise = new Promise<void>((resolved) => (resolve = resolved));
      this.proven = { promise, resolve };
    }
    return this.proven.promise;
  }

  private letGoOn(): void {
    this.proven?.resolve();
    this.proven = null;
  }

  private startThread(): void {
    const schema = schemaOf(this.dataSource);
    const processId = this.id;
    const workerData: LeaseKeeperSettings = {
      connection: { ...(this.dataSource as OrchestratorDataSource).session },
      processId,
      statements: leaseStatements(schema, this.settings.app, DEATH_RULES),
      channels: [
        channelOf(schema),
        channelOfProcess(processId),
        ...(this.abilities.takesRuns ? [channelOfDue(schema)] : []),
      ],
      heartbeatMs: HEARTBEAT_MS,
      leaseMs: DEATH_RULES.leaseMs,
      maxStallMs: this.settings.maxStallMs,
      pulse: this.pulse,
      proof: this.proof.shared,
      pooled: this.pooled,
    };
    const thread = new Worker(LEASE_THREAD_FILE, { workerData, stdin: false });
    thread.on('message', (news: LeaseNews) => this.hear(processId, news));
    thread.on('error', (error) => this.logger.error(`The lease is not kept any more: ${String(error)}`, error.stack));
    thread.on('exit', () => {
      if (this.thread !== thread) return; // it was stopped
      this.thread = null;
      setTimeout(() => this.startAgain(processId), REJOIN_MS).unref();
    });
    thread.unref();
    this.thread = thread;
  }

  /** Somebody has to keep the lease, whatever became of the thread: without heartbeats nothing begins here any more. */
  private startAgain(processId: string): void {
    if (processId === this.id && !this.left && !this.thread) this.startThread();
  }

  private async stopThread(): Promise<void> {
    const thread = this.thread;
    this.thread = null;
    if (!thread) return;
    const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
    thread.ref();
    thread.postMessage({ kind: 'stop' } satisfies LeaseOrder);
    const impatience = setTimeout(() => void thread.terminate(), 1_000);
    await ended;
    clearTimeout(impatience);
  }

  private hear(processId: string, news: LeaseNews): void {
    if (processId !== this.id || this.left) return; // news from the thread of an earlier id
    switch (news.kind) {
      case 'connected':
        for (const listener of this.listeners) listener.notified?.(null);
        break;
      case 'confirmed':
        this.letGoOn();
        break;
      case 'disconnected':
        this.logger.warn(`The session of the lease broke (${news.reason}); it is made anew.`);
        break;
      case 'pooled':
        this.pooled = true;
        this.logger.warn(
          `The database is behind a pooler that lends sessions out per transaction, so this process cannot hold the lock ` +
            `that shows it to be alive: its runs are taken over ${DEATH_RULES.leaseMs / 1_000} instead of 3 seconds after ` +
            `its death, and notifications may not arrive, so that it finds out by looking every few seconds. Set ` +
            `NESTOR_DIRECT_URL (option database.directUrl) to a URL that leads past the pooler.`,
        );
        break;
      case 'fenced':
        void this.fencedOut(processId);
        break;
      case 'dead-peers':
        for (const listener of this.listeners) listener.deadPeers?.(news.ids);
        break;
      case 'notified':
        for (const listener of this.listeners) listener.notified?.(news.payload);
        break;
      case 'stalled':
        this.logger.warn(
          `The event loop stood still for more than ${news.forMs} ms; ` +
            `after ${this.settings.maxStallMs} ms other processes take over the runs of this one.`,
        );
        break;
    }
  }
}

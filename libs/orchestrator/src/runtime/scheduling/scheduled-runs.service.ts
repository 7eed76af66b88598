import { encodingVersion, scheduled, type FlowRunPolicy, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager, QueryRunner } from 'typeorm';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import {
  mayBeTakenAtOnce,
  type RunOrigin,
  type WaitingFlowRun,
} from '../../records/flow-runs/waiting-flow-run-rows.js';
import { WaitingFlowRunsRepository } from '../../records/flow-runs/waiting-flow-runs.repository.js';
import { BorrowedTransactions } from '../borrowed-transactions/borrowed-transactions.service.js';
import { flowRunPolicyOf } from '../engine/flow-run-policy.js';
import { nameOfRun } from '../engine/run-names.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Notifier } from '../notifications/notifier.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import { RunClaimer } from '../recovery/run-claimer.service.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { waitingEntry } from '../transitions/decided.js';
import { Journal } from '../transitions/journal.js';

/** What of a flow its waiting runs are created with. */
export interface ScheduledFlow {
  readonly id: string;
  readonly name: string;
  readonly policy: FlowRunPolicy;
  readonly version: string | null;
  /** The application whose processes may run it. Default: this one. */
  readonly app?: string;
  /** Default: that of this process. `null` where its code is elsewhere. */
  readonly buildId?: string | null;
}

/** A run that is to wait for its time, or for whoever takes it. */
export interface ScheduledRunRequest {
  /** Default: a new one. The same id a second time changes nothing. */
  readonly id?: string;
  /** Default: two words. */
  readonly name?: string;
  /** By name, as the method takes them: see `parametersOf`. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  /** `null`: now. */
  readonly scheduledTime: Instant | null;
  /** The time that it is the run of, where it is due at another. Default: when it is due. */
  readonly expectedStartTime?: Instant;
  readonly message?: string;
  /** What is left out is `null`, or empty. */
  readonly origin?: Partial<RunOrigin>;
}

/** A run that is there: the one that was asked for, or the one that has its key. */
export interface ScheduledRun {
  readonly id: string;
  readonly name: string;
  /** Whether it is the one that was asked for. */
  readonly isNew: boolean;
  /** Whether the transaction of the application that it is part of may still be committed; absent outside of one. */
  readonly mayStillCome?: () => boolean;
}

/** What a transaction of the application writes to when it creates a run. */
const RUN_TABLES = ['flow_run', 'flow_run_state', 'run_key'] as const;
const KEYED_RUN_TABLES = [...RUN_TABLES, 'fair_news'] as const;

/** Runs that are created by one statement: beyond some hundred rows the cost per row is flat. */
const BATCH = 1_000;

const NO_ORIGIN: RunOrigin = {
  idempotencyKey: null,
  deploymentId: null,
  deploymentVersion: null,
  workQueueId: null,
  workQueueName: null,
  priority: 0,
  labels: {},
  createdBy: null,
  jobVariables: null,
  autoScheduled: false,
  scheduleId: null,
  awaitsTurn: false,
  fairShare: null,
};

/** Creates flow runs that nobody executes yet, in `SCHEDULED`: whoever may take them does when they are due. */
@Injectable()
export class ScheduledRuns {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly journal: Journal,
    private readonly transactions: Transactions,
    private readonly runs: WaitingFlowRunsRepository,
    private readonly payloads: Payloads,
    private readonly clock: DatabaseClock,
    private readonly borrowed: BorrowedTransactions,
    private readonly claimer: RunClaimer,
    private readonly notifier: Notifier,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** What runs of a registered flow are created with. */
  flowOf(definition: FlowDefinition): ScheduledFlow {
    const { name, version } = definition;
    const policy = flowRunPolicyOf(definition, this.settings.maxRecoveries);
    return { id: this.registry.flowId(name), name, policy, version };
  }

  /**
   * Creates a run; durable when this resolves. Many calls at a time share one commit.
   *
   * @throws {UnserialisableValueError} when the parameters cannot be kept.
   */
  async create(flow: ScheduledFlow, request: ScheduledRunRequest): Promise<ScheduledRun> {
    const waiting = await this.prepare(flow, request);
    const run = await this.put(flow, waiting);
    // Others were told right behind the commit.
    if (run.isNew && mayBeTakenAtOnce(waiting)) this.claimer.takeNamed(run.id);
    else this.claimer.wake();
    return run;
  }

  /**
   * Creates runs within a transaction of the application, a thousand by a statement: nobody sees them before the commit, and a
   * rollback leaves nothing of them.
   *
   * @returns the runs in the order of the requests.
   * @throws {UnserialisableValueError} when the parameters cannot be kept.
   * @throws the errors of {@link BorrowedTransactions.open}.
   */
  async createAllWithin(
    transaction: EntityManager | QueryRunner,
    flow: ScheduledFlow,
    requests: readonly ScheduledRunRequest[],
  ): Promise<ScheduledRun[]> {
    const tables = requests.some(({ origin }) => origin?.fairShare) ? KEYED_RUN_TABLES : RUN_TABLES;
    const borrowed = await this.borrowed.open(transaction, `flow "${flow.name}"`, tables);
    borrowed.afterCommit(() => this.announce());
    const created: ScheduledRun[] = [];
    for (let first = 0; first < requests.length; first += BATCH) {
      const batch = requests.slice(first, first + BATCH);
      const waiting = await Promise.all(batch.map((request) => this.prepare(flow, request)));
      const { statement, parameters } = this.runs.creation(waiting);
      const rows = await borrowed.query<{ id: string }>(statement.text, parameters);
      const there = new Set(rows.map(({ id }) => id));
      const keys = waiting.flatMap(({ created: { id }, origin }) =>
        there.has(id) ? [] : (origin.idempotencyKey ?? []),
      );
      const others = keys.length > 0 ? await this.runs.findByKeys(flow.id, keys, borrowed) : null;
      for (const one of waiting) {
        const other = there.has(one.created.id) ? undefined : others?.get(one.origin.idempotencyKey ?? '');
        created.push({ ...(other ? { ...other, isNew: false } : newRunOf(one)), mayStillCome: () => borrowed.isOpen });
      }
    }
    return created;
  }

  /**
   * Creates many runs, a thousand in a transaction; durable when this resolves. Asked again after an error, runs with the same
   * keys, or ids, are not created twice.
   *
   * @returns the runs in the order of the requests.
   */
  async createAll(flow: ScheduledFlow, requests: readonly ScheduledRunRequest[]): Promise<ScheduledRun[]> {
    const created: ScheduledRun[] = [];
    for (let first = 0; first < requests.length; first += BATCH) {
      const batch = requests.slice(first, first + BATCH);
      const waiting = await Promise.all(batch.map((request) => this.prepare(flow, request)));
      created.push(...(await this.putAll(flow, waiting)));
      this.claimer.wake();
    }
    return created;
  }

  /** Tells everybody that takes runs, here and elsewhere, that there may be some. */
  announce(): void {
    this.claimer.wake();
    this.notifier.notify('due');
  }

  /**
   * A run as it will be created; nothing is written yet.
   *
   * @throws {UnserialisableValueError} when the parameters cannot be kept.
   */
  async prepare(flow: ScheduledFlow, request: ScheduledRunRequest): Promise<WaitingFlowRun> {
    const id = request.id ?? newId();
    const subject = `parameters of flow "${flow.name}"`;
    const encoded = this.payloads.encode(request.parameters, subject);
    const sealed = this.payloads.seal(encoded, { runId: id, subject });
    const created = {
      id,
      flowId: flow.id,
      app: flow.app ?? this.settings.app,
      rootFlowRunId: id,
      parentTaskRunId: null,
      name: request.name ?? nameOfRun(id),
      parameters: typeof sealed === 'string' ? sealed : await sealed,
      tags: request.tags,
      flowVersion: flow.version,
      buildId: flow.buildId === undefined ? (this.settings.buildId ?? this.registry.fingerprint) : flow.buildId,
      encodingVersion,
      isLeased: false,
    };
    const now = this.clock.now();
    const { message } = request;
    const state = scheduled({ scheduledTime: request.scheduledTime ?? now, ...(message !== undefined && { message }) });
    const { waiting } = waitingEntry(created, { ...NO_ORIGIN, ...request.origin }, flow.policy, state, now);
    const { expectedStartTime } = request;
    return expectedStartTime === undefined ? waiting : { ...waiting, run: { ...waiting.run, expectedStartTime } };
  }

  /** One with a key may have to wait for a transaction of the application; nothing else is to wait for that. */
  private async put(flow: ScheduledFlow, waiting: WaitingFlowRun): Promise<ScheduledRun> {
    if (waiting.origin.idempotencyKey !== null) return (await this.putAll(flow, [waiting]))[0] ?? newRunOf(waiting);
    await this.journal.write({ kind: 'create-waiting-run', lease: null, waiting });
    return newRunOf(waiting);
  }

  /** Until each is there, or another run with its key: that one may be deleted before it is looked up. */
  private async putAll(flow: ScheduledFlow, waiting: readonly WaitingFlowRun[]): Promise<ScheduledRun[]> {
    const known = new Map<WaitingFlowRun, ScheduledRun>();
    for (let left = waiting; left.length > 0; left = left.filter((one) => !known.has(one))) {
      const there = await this.journal.patiently(() =>
        this.transactions.single((tx) => this.runs.create(tx, left), this.notifier.hintOf('due')),
      );
      const refused = left.filter((one) => !there.has(one.created.id));
      const keys = refused.flatMap(({ origin }) => origin.idempotencyKey ?? []);
      const others = keys.length > 0 ? await this.journal.patiently(() => this.runs.findByKeys(flow.id, keys)) : null;
      for (const one of left) {
        const other = others?.get(one.origin.idempotencyKey ?? '');
        if (there.has(one.created.id)) known.set(one, newRunOf(one));
        else if (other) known.set(one, { ...other, isNew: false });
      }
    }
    return waiting.map((one) => known.get(one) ?? newRunOf(one));
  }
}

function newRunOf({ created: { id, name } }: WaitingFlowRun): ScheduledRun {
  return { id, name, isNew: true };
}

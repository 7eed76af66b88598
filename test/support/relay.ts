import type { INestApplicationContext, Type } from '@nestjs/common';
import { FlowRuns, Flows, RunControl } from '@nestor/orchestrator';
import { Transactions } from '../../libs/orchestrator/src/persistence/transactions.js';
import { ProcessesRepository } from '../../libs/orchestrator/src/records/processes/processes.repository.js';
import { TaskClaimer } from '../../libs/orchestrator/src/runtime/background/task-claimer.service.js';
import { ActiveFlowRuns } from '../../libs/orchestrator/src/runtime/engine/active-flow-runs.js';
import { HookDelivery } from '../../libs/orchestrator/src/runtime/hooks/hook-delivery.service.js';
import { ProcessLease } from '../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { RunClaimer } from '../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { Sweeper } from '../../libs/orchestrator/src/runtime/recovery/sweeper.service.js';
import { Journal } from '../../libs/orchestrator/src/runtime/transitions/journal.js';
import { startApp, type TestAppOptions } from './app.js';
import { RecordingLogger } from './recording-logger.js';
import { Stage } from './stage.js';

type Play = {
  [K in keyof Stage]: K extends `play${string}` ? K : never;
}[keyof Stage];

let relays = 0;

/**
 * Processes of one application on one database. Each is a Nest application with connections, a row and a lease of its own, so
 * that the database cannot tell it from a process of the operating system.
 */
export class Relay {
  /** The name of the application. */
  readonly app = `relay-${(relays += 1)}`;
  private readonly processes: RelayProcess[] = [];

  constructor(
    private readonly database: { readonly url: string },
    private readonly defaults: Partial<TestAppOptions> = {},
  ) {}

  /**
   * Starts a process with a {@link Stage}.
   *
   * @param prepare says what the code of this process does, before the process takes anything over.
   */
  async start(
    owner: string,
    prepare: (stage: Stage) => void = () => undefined,
    options: Partial<TestAppOptions> = {},
  ): Promise<RelayProcess> {
    const stage = new Stage();
    stage.owner = owner;
    prepare(stage);
    const logger = new RecordingLogger();
    const app = await startApp({
      ...{ url: this.database.url, app: this.app, drain: '10ms', logger },
      ...{ providers: [{ provide: Stage, useFactory: () => stage }] },
      ...this.defaults,
      ...options,
    });
    const started = new RelayProcess(app, stage, logger);
    this.processes.push(started);
    return started;
  }

  /** What its processes have logged; Nest knows one logger at a time, that of the latest. */
  get messages(): string[] {
    return this.processes.flatMap(({ logger }) => logger.lines.map(({ message }) => message));
  }

  /** Closes every process; what still runs is cut off. */
  async close(): Promise<void> {
    await Promise.all(this.processes.splice(0).map(({ app }) => app.close()));
  }
}

export class RelayProcess {
  constructor(
    readonly app: INestApplicationContext,
    readonly stage: Stage,
    readonly logger: RecordingLogger,
  ) {}

  get<T>(type: Type<T>): T {
    return this.app.get(type);
  }

  /** The id under which it writes at present. */
  get processId(): string {
    return this.get(ProcessLease).processId;
  }

  get control(): RunControl {
    return this.get(RunControl);
  }

  /** Starts a flow in the background; gives the id of its run. */
  async begin(play: Play, params?: unknown): Promise<string> {
    const args = params === undefined ? [] : [params];
    const { id } = await this.get(Flows).start(Stage, play, ...(args as []));
    return id;
  }

  result(flowRunId: string): Promise<unknown> {
    return this.get(FlowRuns).result(flowRunId, { timeout: '15s' });
  }

  failure(flowRunId: string): Promise<unknown> {
    return this.result(flowRunId).then(
      (value) => Promise.reject(new Error(`It returned ${String(value)}.`)),
      (error: unknown) => error,
    );
  }

  /** Whether it has noticed that a run which it executes is paused. */
  holdsUp(flowRunId: string): boolean {
    return this.get(ActiveFlowRuns).find(flowRunId)?.gate.isClosed ?? false;
  }

  /** Waits until all that it has decided so far is in the database. */
  settled(): Promise<void> {
    return this.get(Journal).settled();
  }

  /**
   * Dies as far as the database can tell: its row is fenced, as by a peer that misses its heartbeats, and it takes nothing over
   * any more. What it had decided by then is written; whoever starts next takes its runs over. (Processes that are killed in
   * earnest take seconds to be missed: see `replay/dying.spec.ts`.)
   */
  async die(): Promise<void> {
    await this.standStill();
    await this.fence();
  }

  /** Takes nothing over any more; what it had decided by then is written. */
  async standStill(): Promise<void> {
    await Promise.all(
      [RunClaimer, TaskClaimer, Sweeper, HookDelivery].map((loop) => this.get<{ stop(): Promise<void> }>(loop).stop()),
    );
    await this.settled();
  }

  /** Somebody takes it for dead, while it goes on. */
  async fence(): Promise<void> {
    const { processId } = this;
    const processes = this.get(ProcessesRepository);
    const atOnce = { leaseMs: 0, hintMs: 0 };
    await this.get(Transactions).single((tx) => processes.fence(tx, [processId], processId, atOnce));
  }
}

import type { INestApplicationContext, LoggerService, LogLevel, ModuleMetadata, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  AttemptInspector,
  DatabaseClock,
  EngineScopeServices,
  Flows,
  FlowRuns,
  OrchestratorModule,
  RunControl,
  RunRecordings,
  WaitingRuns,
  type FlowRunView,
  type OrchestratorOptions,
  type ReplayReport,
  type RunRecording,
} from '@nestor/orchestrator';
import { AlwaysReplay } from './calls/always-replay.js';
import { CallLog, NotingScopeServices } from './calls/call-log.js';
import { TestClock } from './clock/test-clock.js';
import { TestingClock } from './clock/testing-clock.js';
import { RunsLeakedError } from './runs-leaked.error.js';
import { createTestDatabase, type TestDatabase, type TestDatabaseOptions } from './test-database.js';

/** What is tested, and how. */
export interface TestingOrchestratorOptions extends Omit<OrchestratorOptions, 'database'>, ModuleMetadata {
  /**
   * A database that you have created, and drop; or where to create one, which `close()` drops. Default: one of its own, cloned
   * on the embedded server.
   */
  readonly database?: TestDatabase | TestDatabaseOptions;
  /**
   * Whether time is skipped by itself to whatever is due next, whenever all runs only wait for a time. While a run is paused or
   * suspended nothing is skipped: it waits for somebody. Default `false`.
   */
  readonly autoAdvance?: boolean;
  /** The time it is at the start. Default: the time. */
  readonly now?: Date | string;
  /**
   * Whether the method of a flow begins again after each call it has made, with what was recorded by then, as after a crash. A
   * run whose method then does something else fails with {@link ReplayDivergedError}. Default `false`.
   */
  readonly alwaysReplay?: boolean;
  /** Default: errors and warnings. */
  readonly logger?: LoggerService | LogLevel[] | false;
  /**
   * Makes the application; for one with HTTP, or with providers overridden by `@nestjs/testing`. Default: an application context
   * of Nest.
   *
   * @example
   * ```ts
   * compile: (metadata) => Test.createTestingModule(metadata).overrideProvider(Bank).useValue(bank).compile(),
   * ```
   */
  readonly compile?: (metadata: ModuleMetadata) => Promise<INestApplicationContext>;
}

/** How long, in real time, runs may take to settle when a test is over. */
const SETTLES_WITHIN_MS = 500;

const openOrchestrators = new Set<TestingOrchestrator>();

/** Those that were created and are not closed. */
export function orchestratorsInUse(): readonly TestingOrchestrator[] {
  return [...openOrchestrators];
}

/** An application under test, with an orchestrator on a database of its own. */
export class TestingOrchestrator {
  /** The time that runs live by. */
  readonly clock: TestingClock;
  readonly flows: Flows;
  readonly runs: FlowRuns;
  readonly control: RunControl;
  /** What the calls of runs were given. @internal */
  readonly calls: CallLog;
  private readonly recordings: RunRecordings;
  private readonly waiting: WaitingRuns;
  private closing: Promise<void> | null = null;

  /** @internal */
  constructor(
    /** The application itself. */
    readonly app: INestApplicationContext,
    readonly database: TestDatabase,
    private readonly ownsDatabase: boolean,
  ) {
    this.flows = this.get(Flows);
    this.runs = this.get(FlowRuns);
    this.control = this.get(RunControl);
    this.calls = this.get(CallLog);
    this.recordings = this.get(RunRecordings);
    this.waiting = this.get(WaitingRuns);
    this.clock = new TestingClock(this.get(TestClock), this.waiting);
    openOrchestrators.add(this);
  }

  /** A provider of the application, from whichever module. */
  get<T>(token: Type<T> | (abstract new (...args: never[]) => T) | string | symbol): T {
    return this.app.get<T>(token, { strict: false });
  }

  /**
   * The run that was created last, for tests that call a method and get no handle.
   *
   * @param flowName of this flow only.
   * @throws when there is none.
   */
  async latestRun(flowName?: string): Promise<FlowRunView> {
    const [run] = await this.runs.list({ limit: 1, ...(flowName !== undefined && { flowName }) });
    if (!run) throw new Error(`There is no flow run${flowName === undefined ? '' : ` of "${flowName}"`} yet.`);
    return run;
  }

  /** See {@link RunRecordings.export}. */
  exportRun(run: string | { readonly id: string }): Promise<RunRecording> {
    return this.recordings.export(typeof run === 'string' ? run : run.id);
  }

  /**
   * See {@link RunRecordings.replay}.
   *
   * @param recording of any application that has the flow: it need not have happened here.
   * @param provider the class and then the method, where the flow goes by another name today.
   */
  replayRun(recording: RunRecording): Promise<ReplayReport>;
  replayRun<T extends object>(
    recording: RunRecording,
    provider: abstract new (...args: never[]) => T,
    method: keyof T & string,
  ): Promise<ReplayReport>;
  replayRun(
    recording: RunRecording,
    provider?: abstract new (...args: never[]) => object,
    method = '',
  ): Promise<ReplayReport> {
    return this.recordings.replay(recording, provider && [provider, method]);
  }

  /**
   * Closes the application and drops the database, in any case.
   *
   * @param options `abandonRuns`: runs that are going on are given up, without a word.
   * @throws {RunsLeakedError} when runs are going on: somebody forgot to await them, and what they would still have done is not
   * tested.
   */
  close({ abandonRuns = false }: { readonly abandonRuns?: boolean } = {}): Promise<void> {
    return (this.closing ??= this.closeOnce(abandonRuns));
  }

  private async closeOnce(abandonRuns: boolean): Promise<void> {
    openOrchestrators.delete(this);
    await this.clock.stop();
    const leaked = abandonRuns ? null : await this.leaked();
    try {
      await this.app.close();
    } finally {
      if (this.ownsDatabase) await this.database.drop();
    }
    if (leaked) throw leaked;
  }

  private async leaked(): Promise<RunsLeakedError | null> {
    const deadline = performance.now() + SETTLES_WITHIN_MS;
    while (this.waiting.activeCalls > 0) {
      if (performance.now() > deadline) return new RunsLeakedError(this.waiting.executed(), this.waiting.activeCalls);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return null;
  }
}

let created = 0;

/**
 * Starts an application with an orchestrator on a database of its own.
 *
 * @example
 * ```ts
 * const nestor = await createTestingOrchestrator({ providers: [Shop, Mailer] });
 * await nestor.get(Shop).order({ sku: 'A-7' });
 * await expect(await nestor.latestRun()).toHaveCompleted();
 * await nestor.close();
 * ```
 *
 * Leave `OrchestratorModule.forRoot()` out of what you import: it is added here.
 */
export async function createTestingOrchestrator(
  options: TestingOrchestratorOptions = {},
): Promise<TestingOrchestrator> {
  const { imports, providers, controllers, exports, database: given, ...rest } = options;
  const { autoAdvance = false, alwaysReplay = false, now, logger = ['error', 'warn'], compile, ...orchestrator } = rest;
  const ownsDatabase = !isDatabase(given);
  const database = isDatabase(given) ? given : await createTestDatabase(given);
  let app: INestApplicationContext | undefined;
  try {
    const settings = { app: `test-${process.pid}-${(created += 1)}`, drain: 0, ...orchestrator };
    const module = OrchestratorModule.forRoot({ ...settings, database: { url: database.url } });
    const substitutes = [
      CallLog,
      TestClock,
      { provide: DatabaseClock, useExisting: TestClock },
      { provide: EngineScopeServices, useClass: NotingScopeServices },
      ...(alwaysReplay ? [{ provide: AttemptInspector, useClass: AlwaysReplay }] : []),
    ];
    const metadata: ModuleMetadata = {
      imports: [{ ...module, providers: [...(module.providers ?? []), ...substitutes] }, ...(imports ?? [])],
      ...{ providers: providers ?? [], controllers: controllers ?? [], exports: exports ?? [] },
    };
    app = await (compile ? compile(metadata) : contextOf(metadata, logger));
    await app.init();
    const nestor = new TestingOrchestrator(app, database, ownsDatabase);
    if (now !== undefined) await nestor.clock.set(now);
    if (autoAdvance) nestor.clock.watch();
    return nestor;
  } catch (error) {
    await app?.close();
    if (ownsDatabase) await database.drop();
    throw error;
  }
}

function contextOf(
  metadata: ModuleMetadata,
  logger: NonNullable<TestingOrchestratorOptions['logger']>,
): Promise<INestApplicationContext> {
  class ModuleUnderTest {}
  return NestFactory.createApplicationContext(
    { module: ModuleUnderTest, ...metadata },
    { logger, abortOnError: false },
  );
}

function isDatabase(given: TestDatabase | TestDatabaseOptions | undefined): given is TestDatabase {
  return given !== undefined && 'url' in given;
}

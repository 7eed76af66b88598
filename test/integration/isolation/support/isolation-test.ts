import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { INestApplicationContext } from '@nestjs/common';
import { FlowRuns, Flows, RunControl, WorkPools } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../../support/app.js';
import { CompiledProgram } from '../../../support/compiled-program.js';
import { testDatabase } from '../../../support/database.js';
import { flowRunOf, taskRunsOf } from '../../../support/history.js';
import { sql } from '../../../support/sql.js';
import { waitFor } from '../../../support/wait-for.js';
import { IsolatedFlows } from './isolated-flows.js';
import { WorkerProcess, type WorkerOrder } from './worker-process.js';

/** What an application takes to start for a run, on a machine that is busy with others. */
const STARTED_WITHIN_MS = 20_000;

/** A database, a client in this process that executes nothing, and workers that are processes of their own. */
export class IsolationTest {
  private readonly workers: WorkerProcess[] = [];
  private readonly directory = mkdtempSync(join(tmpdir(), 'nestor-test-'));
  private count = 0;
  pool = '';

  private constructor(
    readonly database: TestDatabase,
    readonly type: string,
    private readonly program: CompiledProgram,
    private readonly client: INestApplicationContext,
  ) {}

  static async start(type: 'nest-process' | 'nest-thread'): Promise<IsolationTest> {
    const program = new CompiledProgram('test/integration/isolation/support/worker-program.ts');
    const database = await testDatabase();
    const client = await startApp({
      url: database.url,
      app: type,
      worker: false,
      maxRecoveries: 1,
      providers: [IsolatedFlows],
    });
    return new IsolationTest(database, type, program, client);
  }

  get control(): RunControl {
    return this.client.get(RunControl);
  }

  get pools(): WorkPools {
    return this.client.get(WorkPools);
  }

  /** A file that is not there yet. */
  newFile(): string {
    return join(this.directory, `file-${(this.count += 1)}`);
  }

  /** Starts a worker for a pool of its own, or for the one of the worker before. */
  async startWorker(order: Partial<WorkerOrder> & { limit?: number; samePool?: boolean } = {}): Promise<WorkerProcess> {
    const { limit, samePool = false, ...more } = order;
    if (!samePool) this.pool = `pool-${(this.count += 1)}`;
    const { pool, type } = this;
    const worker = await WorkerProcess.start(this.program, {
      database: { url: this.database.url },
      app: type,
      drain: '100ms',
      pools: [{ name: pool, type, ...(limit !== undefined && { limit }) }],
      ...more,
    });
    this.workers.push(worker);
    await waitFor(async () => (await this.pools.find(pool))?.status === 'READY');
    return worker;
  }

  /** Has a run of a flow wait in the pool, with these job variables. */
  async enqueue(
    flow: 'tell' | 'spin' | 'wait' | 'twice' | 'pinned' | 'end' | 'litter',
    args: readonly unknown[] = [],
    variables: object | null = null,
  ): Promise<string> {
    if (variables) await this.pools.pause(this.pool);
    const flows = this.client.get(Flows).with({ workPool: this.pool });
    const { id } = await flows.enqueue(IsolatedFlows, flow as 'end', ...(args as ['SIGKILL']));
    if (variables) {
      await sql(this.database, 'update nestor.flow_run set job_variables = $2 where id = $1', [id, variables]);
      await this.pools.resume(this.pool);
    }
    return id;
  }

  result(id: string): Promise<unknown> {
    return this.client.get(FlowRuns).result(id, { timeout: STARTED_WITHIN_MS });
  }

  /** The codes of what keeps a run from running. */
  async blockersOf(id: string): Promise<string[]> {
    const { reasons } = await this.client.get(FlowRuns).whyNotRunning(id);
    return reasons.filter(({ blocks }) => blocks).map(({ code }) => code);
  }

  /** Waits until a run is in a state of that type. */
  async entered(id: string, type: string): Promise<void> {
    await waitFor(async () => (await flowRunOf(this.database, id)).state_type === type, STARTED_WITHIN_MS);
  }

  /** What the last state of that name says that a run has been in. */
  async messageOf(id: string, stateName: string): Promise<string | null> {
    const { states } = await this.client.get(FlowRuns).get(id);
    return states.findLast(({ name }) => name === stateName)?.message ?? null;
  }

  /** Waits until a task of a run is recorded as done. */
  async completedTask(id: string): Promise<void> {
    await waitFor(
      async () => (await taskRunsOf(this.database, id)).some((task) => task.state_type === 'COMPLETED'),
      STARTED_WITHIN_MS,
    );
  }

  /** Waits until a run has logged a line. */
  async logged(id: string, message: string | RegExp): Promise<void> {
    const pattern = typeof message === 'string' ? new RegExp(`^${message}$`) : message;
    await waitFor(async () => (await this.linesOf(id)).some((line) => pattern.test(line.message)), STARTED_WITHIN_MS);
  }

  /** The lines of a run, once there are so many: what it prints is written behind it, and by others than what it logs. */
  async lines(id: string, count: number): Promise<{ level: number; message: string }[]> {
    return waitFor(async () => {
      const lines = await this.linesOf(id);
      return lines.length >= count ? lines : null;
    }, STARTED_WITHIN_MS);
  }

  linesOf(id: string): Promise<{ level: number; message: string }[]> {
    return sql(this.database, 'select level, message from nestor.log where flow_run_id = $1 order by id', [id]);
  }

  /** Where the run was executed last, as its row has it: `host:process`, or `host:process:thread`. */
  async placeOf(id: string): Promise<{ host: string; pid: number; thread?: number }> {
    const place = await waitFor(async () => {
      const [row] = await sql<{ place: string | null }>(
        this.database,
        'select infrastructure_pid as place from nestor.flow_run where id = $1',
        [id],
      );
      return row?.place;
    }, STARTED_WITHIN_MS);
    const [host = '', pid, thread] = place.split(':');
    return { host, pid: Number(pid), ...(thread !== undefined && { thread: Number(thread) }) };
  }

  /** Whether the hook of a run was called in a process that is still there: the worker, or this one. */
  hasCalledHook(stateName: string, id: string, worker: WorkerProcess): boolean {
    const note = `${stateName} ${id}`;
    return worker.output.includes(`hook: ${note}`) || this.client.get(IsolatedFlows).noted.includes(note);
  }

  /** Ends the workers of a test. */
  async endWorkers(): Promise<void> {
    await Promise.all(this.workers.splice(0).map((worker) => worker.end('SIGKILL')));
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.database.drop();
    this.program.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

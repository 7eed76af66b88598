import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Deployments } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { CompiledProgram } from '../../support/compiled-program.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories, stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import type { JobsOrder } from './support/jobs-program.js';

jest.setTimeout(60_000);

interface Note {
  readonly job: string;
  readonly pid: number;
  readonly runId: string;
}

describe('processes with the same decorated methods', () => {
  let database: TestDatabase;
  let program: CompiledProgram;
  let folder: string;
  const children = new Set<ChildProcess>();

  beforeAll(() => {
    program = new CompiledProgram('test/integration/schedule/support/jobs-program.ts');
  });
  beforeEach(async () => {
    database = await testDatabase();
    folder = mkdtempSync(join(tmpdir(), 'nestor-jobs-'));
  });
  afterEach(async () => {
    await Promise.all([...children].map((child) => end(child, 'SIGTERM')));
    expect(await illegalHistories(database)).toEqual([]);
    rmSync(folder, { recursive: true, force: true });
    await database.drop();
  });
  afterAll(() => program.remove());

  const newOrder = (longJobAt = 0): JobsOrder => ({
    url: database.url,
    longJobAt,
    notes: join(folder, 'notes'),
    end: join(folder, 'end'),
  });
  const start = async (order: JobsOrder): Promise<ChildProcess> => {
    const env = { ...process.env, JOBS: JSON.stringify(order), NO_COLOR: '1' };
    const child = fork(program.file, [], { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env });
    children.add(child);
    await once(child, 'message');
    return child;
  };
  const end = async (child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    children.delete(child);
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  const notesOf = ({ notes }: JobsOrder, job: string): Note[] => {
    const lines = existsSync(notes) ? readFileSync(notes, 'utf8').trim().split('\n') : [];
    const all = lines.map((line) => line.split(',') as [string, string, string]);
    return all.map(([name, pid, runId]) => ({ job: name, pid: Number(pid), runId })).filter((one) => one.job === job);
  };

  it('run each time once between them, and keep a record of each', async () => {
    const order = newOrder();
    await Promise.all([start(order), start(order)]);
    const ticks = await waitFor(() => {
      const notes = notesOf(order, 'tick');
      return notes.length >= 8 ? notes : null;
    }, 30_000);
    await Promise.all([...children].map((child) => end(child, 'SIGTERM')));
    const runs = await sql<{ id: string; at: Date; state_type: string }>(
      database,
      `select r.id, r.expected_start_time as at, r.state_type
         from nestor.flow_run r join nestor.flow f on f.id = r.flow_id
        where f.name = 'tick' and r.state_type <> 'SCHEDULED' order by 2`,
    );
    const noted = notesOf(order, 'tick').map(({ runId }) => runId);
    expect(new Set(noted).size).toBe(noted.length); // no run twice
    expect(new Set(runs.map(({ id }) => id))).toEqual(new Set(noted)); // none without a record, no record without a call
    expect(runs.every(({ state_type }) => state_type === 'COMPLETED')).toBe(true);
    const seconds = runs.map(({ at }) => at.getTime() / 1_000);
    expect(seconds).toEqual(seconds.map((_, index) => seconds[0]! + index)); // each second, each once
    expect(ticks.length).toBeGreaterThanOrEqual(8);
  });

  it('take a run over from one that is killed', async () => {
    const order = newOrder(Date.parse('2026-01-01T00:00:00Z'));
    const both = await Promise.all([start(order), start(order)]);
    const client = await startApp({ url: database.url, app: 'default', worker: false, backgroundTasks: false });
    await client
      .get(Deployments)
      .backfill('long/default', { from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z' });
    await client.close();
    const [first] = await waitFor(() => {
      const notes = notesOf(order, 'long');
      return notes.length > 0 ? notes : null;
    }, 20_000);
    await end(
      both.find(({ pid }) => pid === first!.pid)!,
      'SIGKILL',
    );
    const [, second] = await waitFor(() => {
      const notes = notesOf(order, 'long');
      return notes.length > 1 ? notes : null;
    }, 20_000);
    expect(second!.runId).toBe(first!.runId);
    expect(second!.pid).not.toBe(first!.pid);
    writeFileSync(order.end, '');
    await waitFor(async () => (await stateNames(database, first!.runId)).at(-1) === 'Completed');
    expect(notesOf(order, 'long')).toHaveLength(2);
    expect(await stateNames(database, first!.runId)).toContain('AwaitingResume');
  });
});

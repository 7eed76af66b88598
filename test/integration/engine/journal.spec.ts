import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Flow, FlowRuns, Flows, mapTasks, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { ORCHESTRATOR_DATA_SOURCE } from '../../../libs/orchestrator/src/persistence/tokens.js';
import { Transactions } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { ProcessLease } from '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { LeaseLostError, RunLease } from '../../../libs/orchestrator/src/runtime/leases/run-lease.js';
import { TaskRunsRepository } from '../../../libs/orchestrator/src/records/task-runs/task-runs.repository.js';
import type { JournalEntry } from '../../../libs/orchestrator/src/runtime/transitions/journal-entry.js';
import { Journal } from '../../../libs/orchestrator/src/runtime/transitions/journal.js';
import { addMs, instantOfMs } from '@nestor/core';
import type { DataSource } from 'typeorm';
import { startApp } from '../../support/app.js';
import { bestOf } from '../../support/best-of.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Stage {
  body: () => Promise<unknown> = async () => undefined;
  executed: string[] = [];

  @Flow()
  async play(): Promise<unknown> {
    return this.body();
  }

  @Task()
  async act(input?: unknown): Promise<unknown> {
    this.executed.push(String(input));
    return input;
  }
}

type TaskEntry = Extract<JournalEntry, { kind: 'save-task-run' }>;

describe('the journal', () => {
  let database: TestDatabase;
  let proxy: DatabaseProxy;
  let app: INestApplicationContext;
  let stage: Stage;
  let journal: Journal;

  beforeAll(async () => {
    database = await testDatabase();
    proxy = await DatabaseProxy.start(database);
    app = await startApp({ url: proxy.url, providers: [Stage] });
    stage = app.get(Stage);
    journal = app.get(Journal);
  });
  afterAll(async () => {
    await app.close();
    proxy.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  afterEach(() => jest.restoreAllMocks());

  /** In how many transactions states are written during `work`; those of loops in the background do not count. */
  const commitsOf = async (work: () => Promise<unknown>): Promise<number> => {
    const flowRuns = app.get(FlowRunsRepository);
    const spies = [
      jest.spyOn(flowRuns, 'insert'),
      jest.spyOn(flowRuns, 'move'),
      jest.spyOn(app.get(TaskRunsRepository), 'save'),
    ];
    await work();
    const transactions = new Set(spies.flatMap((spy) => spy.mock.calls.map(([tx]) => tx as unknown)));
    spies.forEach((spy) => spy.mockRestore());
    return transactions.size;
  };
  const inFlow = <T>(body: () => Promise<T>): Promise<T> => {
    stage.body = body;
    return stage.play() as Promise<T>;
  };

  /** A task run outside any flow, in its first state. */
  const entryOf = (changes: { name?: string; id?: string; lease?: RunLease } = {}): TaskEntry => {
    const { id = newId(), name = 'lone', lease = null } = changes;
    const state = {
      ...{ id: newId(), type: 'PENDING' as const, name: 'Pending', message: null, details: {} },
      timestamp: instantOfMs(Date.now()),
    };
    const created = {
      ...{ id, name, flowRunId: null, parentTaskRunId: null, taskKey: 'k', dynamicKey: id },
      ...{ tags: [], taskVersion: null, inputs: null },
    };
    const times = { expectedStartTime: null, nextScheduledStartTime: null, startTime: null, endTime: null };
    const policy = { retries: 0, retryDelaysMs: [] };
    const counts = { runCount: 0, flowRunRunCount: 0, totalRunTimeUs: 0 };
    const run = { kind: 'task-run' as const, id, flowRunId: null, state, policy, ...times, ...counts };
    return {
      ...{ kind: 'save-task-run', lease },
      write: { created, run, result: null, brief: null, claim: 0 },
      state: { runId: id, state, follows: null, claim: 0 },
    };
  };
  const idOf = (entry: TaskEntry): string => entry.state.runId;
  const isWritten = async (id: string): Promise<boolean> =>
    (await sql(database, 'select 1 from nestor.task_run where id = $1', [id])).length > 0;

  describe('commits', () => {
    it('once for a task on its own, with all of its states', async () => {
      const commits = await inFlow(async () => {
        await stage.act('first'); // takes the flow's RUNNING along
        return commitsOf(() => stage.act('second'));
      });
      expect(commits).toBe(1);
    });

    it('once per task in a row', async () => {
      const commits = await inFlow(() =>
        commitsOf(async () => {
          for (let n = 0; n < 10; n += 1) await stage.act(n);
        }),
      );
      expect(commits).toBe(10);
    });

    it('a handful of times for hundreds of tasks at once', async () => {
      const commits = await inFlow(() =>
        commitsOf(() =>
          mapTasks(
            Array.from({ length: 500 }, (_, n) => n),
            (n) => stage.act(n),
          ),
        ),
      );
      expect(commits).toBeLessThanOrEqual(10);
    });

    it('states nobody waits for a few milliseconds later', async () => {
      const writtenAfter = async (): Promise<number> => {
        const gate = new Gate();
        stage.body = async () => gate.pass();
        const { id } = await app.get(Flows).start(Stage, 'play');
        const since = performance.now();
        await waitFor(async () => (await stateNames(database, id)).includes('Running'));
        const ms = performance.now() - since;
        gate.open();
        await app.get(FlowRuns).result(id);
        return ms;
      };
      expect(await bestOf(2_000, writtenAfter)).toBeLessThan(2_000);
    });

    it('states nobody waits for also when they came up during another commit', async () => {
      const gate = new Gate();
      const transactions = app.get(Transactions);
      const single = transactions.single.bind(transactions);
      jest.spyOn(transactions, 'single').mockImplementationOnce(async (work) => {
        const result = await single(work);
        await gate.pass(); // the commit takes its time
        return result;
      });
      const slow = journal.write(entryOf());
      await gate.reached;
      const during = entryOf();
      journal.rideAlongWith(during);
      const due = performance.now() + 20;
      await waitFor(() => performance.now() > due); // its turn comes while the other commit is still under way
      gate.open();
      await slow;
      await waitFor(() => isWritten(idOf(during)));

      const writtenAfter = async (): Promise<number> => {
        const after = entryOf();
        const since = performance.now();
        journal.rideAlongWith(after);
        await waitFor(() => isWritten(idOf(after)));
        return performance.now() - since;
      };
      expect(await bestOf(2_000, writtenAfter)).toBeLessThan(2_000);
    });
  });

  it('writes what comes in at whatever moment, also while a flush comes to its end', async () => {
    for (let moment = 0; moment < 30; moment += 1) {
      await journal.write(entryOf());
      for (let passed = 0; passed < moment; passed += 1) await Promise.resolve();
      expect(await journal.write(entryOf())).toBe('written');
    }
  });

  it('tells when all is written that came in so far, while others go on writing', async () => {
    const most = 300; // in case it waits for them to stop
    let written = 0;
    let goOn = true;
    const writing = async (): Promise<void> => {
      for (; goOn && written < most; written += 1) await journal.write(entryOf());
    };
    const writers = [writing(), writing(), writing()];
    await waitFor(() => written > 10);

    const ours = entryOf();
    journal.rideAlongWith(ours);
    const before = written;
    await journal.settled();
    const meanwhile = written - before;
    goOn = false;
    expect(await isWritten(idOf(ours))).toBe(true);
    await Promise.all(writers);
    expect(meanwhile).toBeLessThanOrEqual(2 * writers.length); // the flush under way, and the one that carries ours
    await journal.settled(); // there is nothing to wait for
  });

  it('fails alone an entry that the database refuses, and writes the rest of its batch', async () => {
    const entries = Array.from({ length: 9 }, (_, n) => entryOf(n === 4 ? { name: 'not\0text' } : {}));
    const outcomes = await Promise.allSettled(entries.map((entry) => journal.write(entry)));

    expect(outcomes.map(({ status }) => status)).toEqual(entries.map((_, n) => (n === 4 ? 'rejected' : 'fulfilled')));
    expect(outcomes[4]).toMatchObject({ reason: { message: expect.stringContaining('invalid byte sequence') } });
    expect(await Promise.all(entries.map((entry) => isWritten(idOf(entry))))).toEqual(entries.map((_, n) => n !== 4));
  });

  it('writes an entry twice without a trace, as after a commit that nobody heard of [T24]', async () => {
    const entry = entryOf();
    expect(await journal.write(entry)).toBe('written');
    expect(await journal.write(entry)).toBe('written');
    expect(await stateNames(database, idOf(entry))).toEqual(['Pending']);
  });

  it('keeps the latest state when an earlier write comes through late [T25]', async () => {
    const early = entryOf();
    const { write } = early;
    const timestamp = addMs(early.state.state.timestamp, 1);
    const state = { ...early.state.state, id: newId(), type: 'COMPLETED' as const, name: 'Completed', timestamp };
    await journal.write(early);
    await journal.write({
      ...{ kind: 'save-task-run', lease: null },
      write: { ...write, run: { ...write.run, state }, result: '"done"' },
      state: { runId: idOf(early), state, follows: early.state.state.id, claim: 0 },
    });

    // Its connection broke, so it was repeated on another; on the first one the server gets to it only now.
    await journal.write(early);
    const rows = await sql(database, 'select state_type, result from nestor.task_run where id = $1', [idOf(early)]);
    expect(rows).toEqual([{ state_type: 'COMPLETED', result: 'done' }]);
  });

  describe('under leases', () => {
    /** A root run that this process executes and that waits at the gate until it is opened. */
    const running = async (gate: Gate): Promise<{ id: string; lease: RunLease }> => {
      stage.body = () => gate.pass();
      const { id } = await app.get(Flows).start(Stage, 'play');
      await gate.reached;
      await waitFor(async () => (await stateNames(database, id)).includes('Running'));
      return { id, lease: new RunLease(id, 0) };
    };
    const changeEpoch = (id: string): Promise<unknown> =>
      sql(database, 'update nestor.flow_run set lease_epoch = lease_epoch + 1 where id = $1', [id]);

    it('refuses an entry alone whose lease is lost, writes the rest of its batch, and says so to its holder', async () => {
      const gate = new Gate();
      const { id, lease } = await running(gate);
      const told: Error[] = [];
      lease.onLost = (error) => told.push(error);
      await changeEpoch(id);

      const entries = [entryOf(), entryOf({ lease }), entryOf()];
      expect(await Promise.all(entries.map((entry) => journal.write(entry)))).toEqual([
        'written',
        'lease-lost',
        'written',
      ]);
      expect(await Promise.all(entries.map((entry) => isWritten(idOf(entry))))).toEqual([true, false, true]);
      expect(told).toEqual([expect.any(LeaseLostError)]);
      expect(told[0]).toMatchObject({ code: 'LEASE_LOST', flowRunId: id });
      await sql(database, 'update nestor.flow_run set lease_epoch = 0 where id = $1', [id]);
      gate.open();
      await app.get(FlowRuns).result(id);
    });

    it('does not even ask about an entry whose lease is known to be lost', async () => {
      const lease = new RunLease(newId(), 0);
      lease.lose();
      const entry = entryOf({ lease });
      expect(await commitsOf(async () => expect(await journal.write(entry)).toBe('lease-lost'))).toBe(0);
    });

    it('writes under a new id, when its process was fenced, what needs no lease, and refuses what does', async () => {
      const gate = new Gate();
      const { id, lease } = await running(gate);
      const process = app.get(ProcessLease);
      const before = process.processId;
      await sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [before]);

      const entries = [entryOf(), entryOf({ lease })];
      expect(await Promise.all(entries.map((entry) => journal.write(entry)))).toEqual(['written', 'lease-lost']);
      expect(await Promise.all(entries.map((entry) => isWritten(idOf(entry))))).toEqual([true, false]);
      expect(process.processId).not.toBe(before);
      expect(lease.lost).toBeInstanceOf(LeaseLostError);

      // Its run goes on: this very process takes it over under its new id.
      gate.open();
      await app.get(FlowRuns).result(id, { timeout: '25s' });
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'AwaitingResume', 'Running', 'Completed']);
    }, 40_000);
  });

  it('does without prepared statements where sessions forget them, as behind some poolers', async () => {
    const pooled = await startApp({ url: database.url, providers: [Stage], poolSize: 1 });
    try {
      const dataSource = pooled.get<DataSource>(ORCHESTRATOR_DATA_SOURCE);
      pooled.get(Stage).body = () => pooled.get(Stage).act('once');
      await pooled.get(Stage).play(); // prepares what it uses
      for (let round = 0; round < 2; round += 1) {
        await dataSource.query('deallocate all');
        expect(await pooled.get(Stage).play()).toBe('once');
      }
    } finally {
      await pooled.close();
    }
  });

  describe('loses nothing', () => {
    const work = async (n: number): Promise<unknown> => {
      for (let step = 0; step < 5; step += 1) await stage.act(`${n}.${step}`);
      return mapTasks([1, 2, 3, 4], (item) => stage.act(`${n}.mapped.${item}`));
    };
    const workOfAll = async (): Promise<string[]> => {
      stage.executed = [];
      let next = 0;
      stage.body = () => work(next++);
      const handles = await Promise.all(Array.from({ length: 10 }, () => app.get(Flows).start(Stage, 'play')));
      return handles.map(({ id }) => id);
    };
    const expectAllDone = async (ids: readonly string[]): Promise<void> => {
      const watcher = await startApp({ url: database.url });
      try {
        for (const id of ids) {
          expect(await watcher.get(FlowRuns).result(id, { timeout: '20s' })).toHaveLength(4);
          expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
          const tasks = await taskRunsOf(database, id);
          expect(tasks).toHaveLength(9);
          for (const task of tasks) expect(task).toMatchObject({ state_type: 'COMPLETED', run_count: 1 });
        }
      } finally {
        await watcher.close();
      }
      expect(stage.executed).toHaveLength(90); // nothing ran twice
    };

    it('when the server ends its connections while runs are under way', async () => {
      const ids = await workOfAll();
      const killed: number[] = [];
      for (let round = 0; round < 8; round += 1) {
        const rows = await sql(
          database,
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and usename = current_user and pid <> pg_backend_pid()`,
        );
        killed.push(rows.length);
      }
      await expectAllDone(ids);
      expect(Math.max(...killed)).toBeGreaterThan(0);
    });

    it('when the server is away for a while', async () => {
      const ids = await workOfAll();
      await waitFor(() => stage.executed.length > 5);
      proxy.cut();
      const before = stage.executed.length;
      expect(before).toBeLessThan(90);
      await proxy.restore();
      await expectAllDone(ids);
    });

    it('when the server goes away between a refused move and the look at what is true now', async () => {
      const gate = new Gate();
      stage.body = () => gate.pass();
      const { id } = await app.get(Flows).start(Stage, 'play');
      const waiting = app.get(FlowRuns).result(id);
      waiting.catch(() => undefined);
      await waitFor(async () => (await stateNames(database, id)).includes('Running'));
      await sql(
        database,
        `with state as (
           insert into nestor.flow_run_state (flow_run_id, timestamp, id, type, name, follows)
           select id, clock_timestamp(), gen_random_uuid(), 'RUNNING', 'Touched', state_id from nestor.flow_run
            where id = $1 returning *
         )
         update nestor.flow_run r set state_id = s.id, state_name = s.name, state_timestamp = s.timestamp
           from state s where r.id = s.flow_run_id`,
        [id],
      );
      const flowRuns = app.get(FlowRunsRepository);
      const load = flowRuns.load.bind(flowRuns);
      jest.spyOn(flowRuns, 'load').mockImplementationOnce((runId) => {
        proxy.cut();
        return load(runId).finally(() => proxy.restore());
      });
      gate.open();
      await waitFor(async () => (await stateNames(database, id)).includes('Completed'));
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Touched', 'Completed']);
    });
  });
});

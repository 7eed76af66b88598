import { BackgroundTasks, type BackgroundTaskHandle } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, type StoredTaskRun } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

interface QueueRow {
  readonly task_run_id: string;
  readonly process_id: string | null;
  readonly recoveries: number;
  readonly dead_at: Date | null;
}

describe('background tasks', () => {
  let database: TestDatabase;
  let relay: Relay;
  const gates: Gate[] = [];

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    await sql(database, 'analyze nestor.task_run, nestor.task_run_state');
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => void (relay = new Relay(database)));
  afterEach(async () => {
    for (const gate of gates.splice(0)) gate.open();
    await relay.close();
    await sql(database, 'truncate nestor.task_queue');
  });

  const newGate = (): Gate => {
    const gate = new Gate();
    gates.push(gate);
    return gate;
  };
  const act = ({ app }: RelayProcess, input: unknown): Promise<BackgroundTaskHandle> =>
    app.get(BackgroundTasks).delay(Stage, 'act', input);
  const actMany = (process: RelayProcess, count: number): Promise<BackgroundTaskHandle[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => act(process, index)));
  const rowOf = async (id: string): Promise<StoredTaskRun> =>
    (await sql<StoredTaskRun>(database, 'select * from nestor.task_run where id = $1', [id]))[0]!;
  const queueOf = async (id: string): Promise<QueueRow | undefined> =>
    (await sql<QueueRow>(database, 'select * from nestor.task_queue where task_run_id = $1', [id]))[0];
  const ofApp = async (condition: string): Promise<number> =>
    (
      await sql<{ count: number }>(
        database,
        `select count(*)::integer as count from nestor.task_queue where app = $1 and ${condition}`,
        [relay.app],
      )
    )[0]!.count;
  const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `act(${index})`).sort();
  /** A process that only delays. */
  const startClient = (): Promise<RelayProcess> => relay.start('client', undefined, { backgroundTasks: false });

  it('are shared by the processes that serve them, each executed once [H09]', async () => {
    const [client, one, other] = await Promise.all([startClient(), relay.start('one'), relay.start('other')]);
    const runs = await actMany(client, 200);
    const owners = await Promise.all(runs.map((run) => run.result({ timeout: '20s' })));
    expect([...one.stage.performed, ...other.stage.performed].sort()).toEqual(names(200));
    expect(client.stage.performed).toEqual([]);
    expect(new Set(owners.map((owner) => String(owner).split(' by ')[1]))).toEqual(new Set(['one', 'other']));
    await waitFor(async () => (await ofApp('true')) === 0);
  });

  it('wait while nobody is there, and are all executed once after the restart [H12]', async () => {
    const client = await startClient();
    await actMany(client, 1_000);
    expect(await client.get(BackgroundTasks).counts()).toEqual([
      { taskKey: 'Stage.act', queued: 1_000, running: 0, deadLetters: 0 },
    ]);
    await client.app.close();
    const [one, other] = await Promise.all([relay.start('one'), relay.start('other')]);
    await waitFor(async () => (await ofApp('true')) === 0, 30_000);
    expect([...one.stage.performed, ...other.stage.performed].sort()).toEqual(names(1_000));
    const counts = await sql(
      database,
      `select t.state_type, t.run_count, count(*)::integer from nestor.task_run t
        where t.task_key = 'Stage.act' and t.parameters is not null and t.created > clock_timestamp() - interval '5 minutes'
          and t.name like 'act-%' group by 1, 2`,
    );
    expect(counts).toEqual([{ state_type: 'COMPLETED', run_count: 1, count: 1_200 }]);
  });

  it('are never more at a time than a process is told to execute [H10]', async () => {
    const gate = newGate();
    let running = 0;
    let most = 0;
    const process = await relay.start(
      'process',
      (stage) => {
        stage.perform = async () => {
          most = Math.max(most, (running += 1));
          await gate.pass();
          running -= 1;
        };
      },
      { backgroundTasks: { concurrency: 2 } },
    );
    const runs = await actMany(process, 5);
    await waitFor(() => running === 2);
    expect(process.get(BackgroundTasks).status()).toMatchObject({ concurrency: 2, running: 2 });
    expect(await process.get(BackgroundTasks).counts()).toEqual([
      { taskKey: 'Stage.act', queued: 3, running: 2, deadLetters: 0 },
    ]);
    gate.open();
    await Promise.all(runs.map((run) => run.result({ timeout: '10s' })));
    expect(most).toBe(2);
  });

  it('leave room for each other, when one task has many', async () => {
    const process = await relay.start('process', undefined, { backgroundTasks: { concurrency: 1 } });
    const gate = newGate();
    process.stage.perform = () => gate.pass();
    await actMany(process, 10);
    await gate.reached;
    const song = await process.get(BackgroundTasks).delay(Stage, 'sing');
    gate.open();
    await song.result({ timeout: '10s' });
    expect(process.stage.performed.indexOf('sing()')).toBeLessThan(5);
  });

  it('are left to others by a process that serves some of them', async () => {
    const options = { backgroundTasks: { tasks: ['Stage.sing', 'Stage.swim'] } };
    const singer = await relay.start('singer', undefined, options);
    expect(singer.logger.lines).toContainEqual(
      expect.objectContaining({ message: expect.stringContaining('names Stage.swim') as unknown }),
    );
    const acting = await act(singer, 1);
    const singing = await singer.get(BackgroundTasks).delay(Stage, 'sing', 1);
    expect(await singing.result({ timeout: '10s' })).toBe('sing(1) by singer');
    expect(await acting.state()).toMatchObject({ name: 'Scheduled' });
    await relay.start('actor', undefined, { backgroundTasks: { tasks: [Stage] } });
    expect(await acting.result({ timeout: '10s' })).toBe('act(1) by actor');
  });

  it('of a task that no process has stay where they are, until one does [H12]', async () => {
    const client = await startClient();
    const run = await act(client, 1);
    await client.app.close();
    const stranger = await relay.start('stranger', undefined, { providers: [] });
    expect(await stranger.get(BackgroundTasks).handle(run.taskRunId).state()).toMatchObject({ name: 'Scheduled' });
    const process = await relay.start('process');
    expect(await process.get(BackgroundTasks).handle(run.taskRunId).result({ timeout: '10s' })).toBe(
      'act(1) by process',
    );
  });

  it('are tried again by whoever is there when it is time [H11]', async () => {
    const one = await relay.start('one', (stage) => {
      stage.perform = () => Promise.reject(new Error('not today'));
    });
    const run = await one.get(BackgroundTasks).delay(Stage, 'actLater', 1);
    await waitFor(async () => (await rowOf(run.taskRunId)).state_name === 'AwaitingRetry');
    expect(await queueOf(run.taskRunId)).toMatchObject({ process_id: null, dead_at: null });
    await one.app.close();
    const other = await relay.start('other');
    const again = other.get(BackgroundTasks).handle(run.taskRunId);
    expect(await again.result({ timeout: '10s' })).toBe('actLater(1) by other');
    expect(await stateNames(database, run.taskRunId)).toEqual([
      ...['Scheduled', 'Pending', 'Running', 'AwaitingRetry', 'Retrying', 'Completed'],
    ]);
    expect(await rowOf(run.taskRunId)).toMatchObject({ run_count: 2 });
    const [pause] = await sql<{ ms: number }>(
      database,
      `select extract(epoch from b.timestamp - a.timestamp)::float8 * 1000 as ms
         from nestor.task_run_state a join nestor.task_run_state b using (task_run_id)
        where task_run_id = $1 and a.name = 'AwaitingRetry' and b.name = 'Retrying'`,
      [run.taskRunId],
    );
    expect(pause!.ms).toBeGreaterThanOrEqual(700);
  });

  describe('whose process dies', () => {
    const begun = async (task: 'act' | 'actOnce', options = {}) => {
      const gate = newGate();
      const process = await relay.start('first', (stage) => (stage.perform = () => gate.pass()), options);
      const run = await process.get(BackgroundTasks).delay(Stage, task, 1);
      await gate.reached;
      await waitFor(async () => (await rowOf(run.taskRunId)).state_type === 'RUNNING');
      return { process, run, id: run.taskRunId };
    };

    it('are executed again by another [H12]', async () => {
      const { process, id } = await begun('act');
      await process.die();
      const second = await relay.start('second');
      expect(await second.get(BackgroundTasks).handle(id).result({ timeout: '10s' })).toBe('act(1) by second');
      expect(await stateNames(database, id)).toEqual([
        ...['Scheduled', 'Pending', 'Running', 'AwaitingResume', 'Running', 'Completed'],
      ]);
      expect(await rowOf(id)).toMatchObject({ run_count: 1 });
    });

    it('are written by that one alone, when the first lives on', async () => {
      const { process, id } = await begun('act');
      await process.die(); // or it would take it over itself, under its new name
      const second = await relay.start('second');
      const outcome = second.get(BackgroundTasks).handle(id).result({ timeout: '10s' });
      expect(await outcome).toBe('act(1) by second');
      for (const gate of gates) gate.open();
      await process.settled();
      expect(await rowOf(id)).toMatchObject({ state_type: 'COMPLETED', result: 'act(1) by second' });
    });

    it('are taken over once, when several processes find them', async () => {
      const { process, id } = await begun('act');
      await process.die();
      const others = await Promise.all(['north', 'south', 'west'].map((name) => relay.start(name)));
      await others[0]!.get(BackgroundTasks).handle(id).result({ timeout: '10s' });
      expect(others.flatMap(({ stage }) => stage.performed)).toEqual(['act(1)']);
    });

    it('fail with an outcome that is unknown, when they are to run at most once', async () => {
      const { process, id } = await begun('actOnce');
      await process.die();
      const second = await relay.start('second');
      await expect(second.get(BackgroundTasks).handle(id).result({ timeout: '10s' })).rejects.toMatchObject({
        code: 'OUTCOME_UNKNOWN',
      });
      expect(second.stage.performed).toEqual([]);
      expect(await queueOf(id)).toMatchObject({ process_id: null, dead_at: expect.any(Date) as Date });
    });

    it('are dead letters, when too many processes died of them [H12]', async () => {
      const { process, id } = await begun('act', { maxRecoveries: 1 });
      await process.die();
      const gate = newGate();
      const second = await relay.start('second', (stage) => (stage.perform = () => gate.pass()), { maxRecoveries: 1 });
      await gate.reached;
      await waitFor(async () => (await rowOf(id)).state_type === 'RUNNING');
      await second.die();
      const third = await relay.start('third', undefined, { maxRecoveries: 1 });
      const tasks = third.get(BackgroundTasks);
      await expect(tasks.handle(id).result({ timeout: '10s' })).rejects.toMatchObject({
        code: 'BACKGROUND_TASK_CRASHED',
      });
      expect(third.stage.performed).toEqual([]);
      expect(await tasks.deadLetters()).toEqual([
        expect.objectContaining({
          ...{ taskRunId: id, taskKey: 'Stage.act', stateType: 'CRASHED' },
          message: expect.stringMatching(/^TOO_MANY_RECOVERIES: 2 processes died/) as unknown,
        }),
      ]);
      expect(await tasks.counts()).toEqual([{ taskKey: 'Stage.act', queued: 0, running: 0, deadLetters: 1 }]);
    });

    it('have what they called closed, and call it again', async () => {
      const gate = newGate();
      const first = await relay.start('first', (stage) => {
        stage.direction = () => stage.act('within');
        stage.perform = () => gate.pass();
      });
      const { taskRunId: id } = await first.get(BackgroundTasks).delay(Stage, 'direct');
      await gate.reached;
      const children = () =>
        sql<StoredTaskRun>(database, 'select * from nestor.task_run where parent_task_run_id = $1 order by id', [id]);
      await waitFor(async () => (await children())[0]?.state_type === 'RUNNING');
      await first.die();
      const second = await relay.start('second', (stage) => (stage.direction = () => stage.act('within')));
      expect(await second.get(BackgroundTasks).handle(id).result({ timeout: '10s' })).toBe('act(within) by second');
      await waitFor(async () => (await children()).every(({ state_type }) => state_type !== 'RUNNING'));
      expect((await children()).map(({ state_type }) => state_type)).toEqual(['CRASHED', 'COMPLETED']);
    });
  });

  describe('whose process shuts down', () => {
    it('end there, when they do in time', async () => {
      const gate = newGate();
      const process = await relay.start('first', (stage) => (stage.perform = () => gate.pass()), { drain: '10s' });
      const run = await act(process, 1);
      await gate.reached;
      const closed = process.app.close();
      gate.open();
      await closed;
      expect(await rowOf(run.taskRunId)).toMatchObject({ state_type: 'COMPLETED' });
    });

    it('go back into the queue, when they do not', async () => {
      const gate = newGate();
      const process = await relay.start('first', (stage) => (stage.perform = () => gate.pass()));
      const { taskRunId: id } = await act(process, 1);
      await gate.reached;
      await process.app.close();
      expect(await rowOf(id)).toMatchObject({ state_name: 'AwaitingResume', run_count: 0 });
      expect(await queueOf(id)).toMatchObject({ process_id: null, recoveries: 0 });
      const second = await relay.start('second');
      expect(await second.get(BackgroundTasks).handle(id).result({ timeout: '10s' })).toBe('act(1) by second');
      expect(await rowOf(id)).toMatchObject({ run_count: 1 });
    });

    it('fail with an outcome that is unknown, when they are to run at most once', async () => {
      const gate = newGate();
      const process = await relay.start('first', (stage) => (stage.perform = () => gate.pass()));
      const { taskRunId: id } = await process.get(BackgroundTasks).delay(Stage, 'actOnce', 1);
      await gate.reached;
      await process.app.close();
      expect(await rowOf(id)).toMatchObject({ state_type: 'FAILED' });
      expect(await queueOf(id)).toMatchObject({ process_id: null, dead_at: expect.any(Date) as Date });
    });

    it('do so when they have hooks as well, which are told of it', async () => {
      const gate = newGate();
      const process = await relay.start('first', (stage) => (stage.perform = () => gate.pass()));
      const { taskRunId: id } = await process.get(BackgroundTasks).delay(Stage, 'actOnceWatched', 1);
      await gate.reached;
      await process.app.close();
      expect(await rowOf(id)).toMatchObject({ state_type: 'FAILED' });
      expect(process.stage.watched).toEqual(['actOnceWatched(1) is Failed']);
    });
  });
});

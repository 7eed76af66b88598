import { completed, instantOfMs, pending, running } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { isPassing } from '../../../libs/orchestrator/src/persistence/connection/postgres-errors.js';
import { ensurePartitions } from '../../../libs/orchestrator/src/persistence/migrating/migrate.js';
import { waitFor } from '../../support/wait-for.js';
import { create, flowNamed, FlowRunStory, idAt, insert, move, save, TaskRunStory } from './support/runs.js';
import { emptyDatabase, openStore, type Store } from './support/store.js';

const WEEK_MS = 7 * 86_400_000;
const PARTITIONED = [
  'artifact',
  'event',
  'event_receipt',
  'flow_run',
  'flow_run_input',
  'flow_run_state',
  'log',
  'payload',
  'run_value',
  'task_run',
  'task_run_state',
];

/** Monday, midnight in Greenwich, of the week a moment lies in. */
function weekOf(ms: number): number {
  const date = new Date(ms);
  const day = Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
  return day - ((date.getUTCDay() + 6) % 7) * 86_400_000;
}

const suffixOf = (week: number): string => new Date(week).toISOString().slice(0, 10).replaceAll('-', '');

describe('the partitions', () => {
  let database: TestDatabase;
  let store: Store;
  let flowId: string;
  beforeAll(async () => {
    database = await emptyDatabase();
    store = await openStore(database, { poolSize: 10 });
    flowId = await flowNamed(store, 'etl');
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  const partitionsOf = async (table: string): Promise<string[]> => {
    const rows = await store.dataSource.query<{ name: string }[]>(
      `select c.relname as name from pg_inherits join pg_class c on c.oid = inhrelid
        where inhparent = ('nestor.' || $1)::regclass order by 1`,
      [table],
    );
    return rows.map(({ name }) => name);
  };
  /** The partition each row of a run lies in. */
  const homeOf = async (table: string, column: string, id: string): Promise<string[]> => {
    const rows = await store.dataSource.query<{ name: string }[]>(
      `select distinct tableoid::regclass::text as name from nestor.${table} where ${column} = $1 order by 1`,
      [id],
    );
    return rows.map(({ name }) => name.replace('nestor.', ''));
  };
  const ensureUntil = (ms: number): Promise<unknown> =>
    store.dataSource.query(`select nestor.ensure_partitions(to_timestamp($1))`, [ms / 1_000]);

  it.each(PARTITIONED)('of %s are this week, at least three coming ones, and one for the rest', async (table) => {
    const week = weekOf(Date.now());
    const names = await partitionsOf(table);
    expect(names).toContain(`${table}_default`);
    for (const ahead of [0, 1, 2, 3]) expect(names).toContain(`${table}_${suffixOf(week + ahead * WEEK_MS)}`);
  });

  it('touch each other: what one week ends with, the next begins with', async () => {
    const bounds = await store.dataSource.query<{ bound: string }[]>(
      `select pg_get_expr(relpartbound, oid) as bound from pg_class
        where relname ~ '^flow_run_state_\\d+$' order by relname`,
    );
    const ends = bounds.map(({ bound }) => /FROM \('(.*)'\) TO \('(.*)'\)/.exec(bound)!.slice(1, 3));
    ends.slice(1).forEach(([from], index) => expect(from).toBe(ends[index]![1]));
  });

  describe('receive', () => {
    it('runs by the time in their id, states by their own time', async () => {
      const week = weekOf(Date.now());
      const story = new FlowRunStory(flowId, { id: idAt(week + WEEK_MS - 1) });
      await create(store, story, pending());
      await move(store, [story.enter(running(), { at: instantOfMs(week + WEEK_MS) })]);

      const [first, second] = [suffixOf(week), suffixOf(week + WEEK_MS)];
      expect(await homeOf('flow_run', 'id', story.run.id)).toEqual([`flow_run_${first}`]);
      expect(await homeOf('flow_run_state', 'flow_run_id', story.run.id)).toEqual([
        `flow_run_state_${first}`,
        `flow_run_state_${second}`,
      ]);
      expect((await store.flowRuns.history(story.run.id)).map(({ name }) => name)).toEqual(['Pending', 'Running']);
    });

    it('task runs and their states alike', async () => {
      const week = weekOf(Date.now()) + WEEK_MS;
      const story = new TaskRunStory(null, { id: idAt(week) });
      await save(store, [story.enter(completed(), { at: instantOfMs(week + 1) })]);
      expect(await homeOf('task_run', 'id', story.run.id)).toEqual([`task_run_${suffixOf(week)}`]);
      expect(await homeOf('task_run_state', 'task_run_id', story.run.id)).toEqual([`task_run_state_${suffixOf(week)}`]);
    });

    it('a run with the least and the greatest id of a week in the same one', async () => {
      const week = weekOf(Date.now());
      const [least, greatest] = [
        new TaskRunStory(null, { id: idAt(week) }),
        new TaskRunStory(null, { id: idAt(week + WEEK_MS - 1) }),
      ];
      await save(store, [least.enter(completed()), greatest.enter(completed())]);
      const home = [`task_run_${suffixOf(week)}`];
      expect(await homeOf('task_run', 'id', least.run.id)).toEqual(home);
      expect(await homeOf('task_run', 'id', greatest.run.id)).toEqual(home);
    });

    it('a run whose id is random in the one for the rest, where it is found and moved like any other', async () => {
      const story = new FlowRunStory(flowId, { id: randomUUID() });
      const now = instantOfMs(Date.now());
      await insert(store, [story.begin(pending(), { at: now })]);
      expect(await homeOf('flow_run', 'id', story.run.id)).toEqual(['flow_run_default']);
      expect(await move(store, [story.enter(running())])).toEqual(new Set([story.run.id]));
      expect(await store.flowRuns.load(story.run.id)).toEqual(story.run);
    });
  });

  describe('of a week that is created late', () => {
    const late = weekOf(Date.now()) + 8 * WEEK_MS;
    const before = late - 1;
    const after = late + WEEK_MS;

    it('take over what the one for the rest had caught of it, and nothing else', async () => {
      const stories = [before, late, late + WEEK_MS - 1, after].map((ms) => new FlowRunStory(flowId, { id: idAt(ms) }));
      for (const story of stories) await create(store, story, pending());
      const task = new TaskRunStory(stories[1]!.run.id, { id: idAt(late) });
      await save(store, [task.enter(completed())]);
      const logId = idAt(late);
      await store.transactions.single((tx) =>
        store.logs.append(tx, [
          {
            id: logId,
            timestamp: instantOfMs(late + 5),
            name: 'a',
            level: 20,
            message: 'kept',
            flowRunId: stories[1]!.run.id,
            taskRunId: null,
          },
        ]),
      );
      const images = await Promise.all(stories.map(({ run }) => store.flowRuns.load(run.id)));
      expect(await homeOf('flow_run', 'id', stories[1]!.run.id)).toEqual(['flow_run_default']);

      await ensureUntil(late + WEEK_MS);

      const home = suffixOf(late);
      const homes = await Promise.all(stories.map(({ run }) => homeOf('flow_run', 'id', run.id)));
      expect(homes).toEqual([
        [`flow_run_${suffixOf(late - WEEK_MS)}`],
        [`flow_run_${home}`],
        [`flow_run_${home}`],
        ['flow_run_default'],
      ]);
      expect(await homeOf('flow_run_state', 'flow_run_id', stories[1]!.run.id)).toEqual([`flow_run_state_${home}`]);
      expect(await homeOf('task_run', 'id', task.run.id)).toEqual([`task_run_${home}`]);
      expect(await homeOf('task_run_state', 'task_run_id', task.run.id)).toEqual([`task_run_state_${home}`]);
      expect(await homeOf('log', 'id', logId)).toEqual([`log_${home}`]);
      // Nothing about them has changed.
      expect(await Promise.all(stories.map(({ run }) => store.flowRuns.load(run.id)))).toEqual(images);
      expect(await store.logs.list(stories[1]!.run.id, { limit: 5 })).toMatchObject([{ message: 'kept' }]);
    });

    it('have the indexes and constraints of the others', async () => {
      const shape = (name: string) =>
        store.dataSource.query(
          `select pg_get_indexdef(indexrelid) as def from pg_index where indrelid = ('nestor.' || $1)::regclass
           union all select pg_get_constraintdef(oid) from pg_constraint
                      where conrelid = ('nestor.' || $1)::regclass and contype <> 'n' order by 1`,
          [name],
        );
      const plain = async (week: number) =>
        (await shape(`flow_run_${suffixOf(week)}`)).map(({ def }: { def: string }) =>
          def.replaceAll(suffixOf(week), 'WEEK'),
        );
      expect(await plain(late)).toEqual(await plain(weekOf(Date.now())));
    });
  });

  it('are created once when many ask at the same time, while runs are written into the very weeks', async () => {
    const from = weekOf(Date.now()) + 12 * WEEK_MS;
    const until = from + 3 * WEEK_MS;
    const stories = Array.from({ length: 60 }, (_, index) => {
      const id = idAt(from + Math.floor((index / 60) * 3 * WEEK_MS));
      return new FlowRunStory(flowId, { id });
    });
    await Promise.all([
      ...Array.from({ length: 5 }, () => repeated(() => ensureUntil(until))),
      ...stories.map((story) => {
        const creation = story.begin(pending());
        // A row that was meant for the default partition meanwhile is turned away, and goes to its week the next time.
        return repeated(() => insert(store, [creation]));
      }),
    ]);
    const weeks = [0, 1, 2].map((week) => `flow_run_${suffixOf(from + week * WEEK_MS)}`);
    expect(await partitionsOf('flow_run')).toEqual(expect.arrayContaining(weeks));
    const homes = await Promise.all(stories.map(({ run }) => homeOf('flow_run', 'id', run.id)));
    expect(new Set(homes.flat())).toEqual(new Set(weeks));
    expect(homes.every((home) => home.length === 1)).toBe(true);
  });

  it('are created in the end when whoever creates them meets a batch that locks crosswise, whoever of them gives way', async () => {
    const missing = suffixOf(weekOf(Date.now()) + 3 * WEEK_MS);
    await store.dataSource.query(PARTITIONED.map((table) => `drop table nestor.${table}_${missing}`).join('; '));
    const batch = new Client({ connectionString: database.url });
    await batch.connect();
    try {
      await batch.query('begin; lock table nestor.flow_run_state_default in row exclusive mode');
      const ensured = ensurePartitions(store.dataSource, 'nestor');
      await waitFor(async () => {
        const { rowCount } = await batch.query(
          `select from pg_locks where locktype = 'relation' and not granted
              and database = (select oid from pg_database where datname = current_database())`,
        );
        return rowCount !== 0;
      });
      // The server makes one of the two give way, whichever it looks at first. A batch that does is written again.
      const gaveWay = await batch.query('lock table nestor.flow_run_default in row exclusive mode').then(
        () => null,
        (error: unknown) => error,
      );
      if (gaveWay) expect(gaveWay).toMatchObject({ code: '40P01' });
      await batch.query('rollback');
      await ensured;
    } finally {
      await batch.end();
    }
    expect(await partitionsOf('flow_run')).toContain(`flow_run_${missing}`);
    expect(await partitionsOf('event')).toContain(`event_${missing}`);
  });

  it('are created in the end when whoever creates them loses several deadlocks', async () => {
    const missing = suffixOf(weekOf(Date.now()) + 3 * WEEK_MS);
    await store.dataSource.query(PARTITIONED.map((table) => `drop table nestor.${table}_${missing}`).join('; '));
    // Which side of a deadlock has to give way is the server's choice; here it chooses ours, three times.
    await store.dataSource.query(`
      create sequence nestor.deadlocks;
      alter function nestor.ensure_partitions(timestamptz) rename to really_ensure_partitions;
      create function nestor.ensure_partitions(until timestamptz) returns void language plpgsql as $$
      begin
        if nextval('nestor.deadlocks') <= 3 then raise exception using errcode = 'deadlock_detected'; end if;
        perform nestor.really_ensure_partitions(until);
      end $$`);
    try {
      await ensurePartitions(store.dataSource, 'nestor');
    } finally {
      await store.dataSource.query(`
        drop function nestor.ensure_partitions(timestamptz);
        alter function nestor.really_ensure_partitions(timestamptz) rename to ensure_partitions;
        drop sequence nestor.deadlocks`);
    }
    expect(await partitionsOf('flow_run')).toContain(`flow_run_${missing}`);
    expect(await partitionsOf('event')).toContain(`event_${missing}`);
  });

  it('cost nothing to ask for when they are there', async () => {
    const before = await Promise.all(PARTITIONED.map(partitionsOf));
    await ensurePartitions(store.dataSource, 'nestor');
    expect(await Promise.all(PARTITIONED.map(partitionsOf))).toEqual(before);
  });
});

/** Does what the journal does with an error that passes: tries again. */
async function repeated(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!isPassing(error)) throw error;
    await repeated(work);
  }
}

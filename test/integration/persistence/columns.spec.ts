import { formatInstant, instantOfMicros, parseInstant, type Instant } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { LessThan, MoreThanOrEqual, type Repository } from 'typeorm';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { FlowEntity } from '../../../libs/orchestrator/src/records/flows/flow.entity.js';
import { FlowRunEntity } from '../../../libs/orchestrator/src/records/flow-runs/flow-run.entity.js';
import { LogEntity } from '../../../libs/orchestrator/src/records/logs/log.entity.js';
import { TaskRunEntity } from '../../../libs/orchestrator/src/records/task-runs/task-run.entity.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { openStore, type Store } from './support/store.js';

const at = (text: string): Instant => parseInstant(text);

describe('values on their way into the database and back', () => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database);
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  const read = async (expression: string): Promise<unknown> => {
    const rows = await store.dataSource.query<{ value: unknown }[]>(`select ${expression} as value`);
    return rows[0]!.value;
  };

  describe('instants', () => {
    const INSTANTS = [
      '2026-11-22T04:55:48.123456Z',
      '2026-11-22T04:55:48.000001Z',
      '2026-11-22T04:55:48.999999Z',
      '2026-11-22T04:55:48.000000Z',
      '1970-01-01T00:00:00.000000Z',
      '1969-12-31T23:59:59.999999Z',
      '1700-02-28T12:00:00.654321Z',
      '2254-12-31T23:59:59.999999Z',
    ];
    let runs: Repository<TaskRunEntity>;
    beforeAll(() => {
      runs = store.dataSource.getRepository(TaskRunEntity);
    });

    const kept = async (startTime: Instant | null): Promise<TaskRunEntity> => {
      const id = newId();
      await runs.insert({ id, name: 'a', taskKey: 'a', dynamicKey: 'a-0', startTime });
      return runs.findOneByOrFail({ id });
    };

    it.each(INSTANTS)('keep their microseconds through an entity: %s', async (text) => {
      expect((await kept(at(text))).startTime).toBe(at(text));
    });

    it.each(INSTANTS)('are what the server takes them for: %s', async (text) => {
      const { id } = await kept(at(text));
      const rows = await store.dataSource.query(
        `select to_char(start_time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as text
           from nestor.task_run where id = $1`,
        [id],
      );
      expect(rows).toEqual([{ text }]);
    });

    it('stay null', async () => {
      expect((await kept(null)).startTime).toBeNull();
    });

    it('keep their microseconds when an entity is saved over', async () => {
      const run = await kept(at('2026-11-22T04:55:48.123456Z'));
      run.endTime = instantOfMicros(run.startTime! + 1);
      await runs.save(run);
      await runs.update({ id: run.id }, { expectedStartTime: instantOfMicros(run.startTime! + 2) });
      expect(await runs.findOneByOrFail({ id: run.id })).toMatchObject({
        startTime: run.startTime,
        endTime: run.startTime! + 1,
        expectedStartTime: run.startTime! + 2,
      });
    });

    it('are found by their microsecond, also through the operators and the query builder', async () => {
      const time = at('2026-11-22T04:55:48.123456Z');
      const { id } = await kept(time);
      const next = instantOfMicros(time + 1);
      expect(await runs.countBy({ id, startTime: time })).toBe(1);
      expect(await runs.countBy({ id, startTime: next })).toBe(0);
      expect(await runs.countBy({ id, startTime: LessThan(next) })).toBe(1);
      expect(await runs.countBy({ id, startTime: LessThan(time) })).toBe(0);
      expect(await runs.countBy({ id, startTime: MoreThanOrEqual(time) })).toBe(1);
      const built = runs.createQueryBuilder('r').where('r.id = :id', { id });
      expect(await built.andWhere('r.startTime = :time', { time: formatInstant(time) }).getCount()).toBe(1);
    });

    it('are part of a primary key, microseconds and all', async () => {
      const logs = store.dataSource.getRepository(LogEntity);
      const timestamp = at('2026-11-22T04:55:48.123456Z');
      const line = { name: 'a', level: 20, message: 'x', flowRunId: null, taskRunId: null };
      const [first, second] = [newId(), newId()];
      await logs.insert([
        { ...line, timestamp, id: first },
        { ...line, timestamp: instantOfMicros(timestamp + 1), id: second },
      ]);
      expect((await logs.findOneBy({ timestamp, id: first }))?.timestamp).toBe(timestamp);
      expect(await logs.findOneBy({ timestamp, id: second })).toBeNull();
    });

    it.each(['UTC', 'Asia/Kathmandu', 'America/St_Johns', 'Europe/Amsterdam'])(
      'do not depend on the time zone of the session: %s',
      async (zone) => {
        const rows = await store.transactions.run(async (tx) => {
          await tx.query(`set local time zone '${zone}'`);
          return tx.query<{ value: Instant }>(
            `select unnest(array['2026-07-01 10:00:00.000001+00', '1890-01-01 00:00:00+00']::timestamptz[]) as value`,
          );
        });
        expect(rows.map(({ value }) => formatInstant(value))).toEqual([
          '2026-07-01T10:00:00.000001Z',
          '1890-01-01T00:00:00.000000Z',
        ]);
      },
    );

    it('without end are infinite', async () => {
      expect(await read(`'infinity'::timestamptz`)).toBe(Infinity);
      expect(await read(`'-infinity'::timestamptz`)).toBe(-Infinity);
    });

    it('that the database made up are instants too', async () => {
      const flows = store.dataSource.getRepository(FlowEntity);
      await store.transactions.run((tx) => store.flows.register(tx, ['etl']));
      const { created } = await flows.findOneByOrFail({ name: 'etl' });
      const now = (await read('clock_timestamp()')) as Instant;
      expect(now - created).toBeGreaterThan(0);
      expect(now - created).toBeLessThan(60_000_000);
    });
  });

  describe('whole numbers of 64 bits', () => {
    it.each([0, 1, -1, 2 ** 31, 2 ** 53 - 1, -(2 ** 53 - 1)])('are numbers: %d', async (value) => {
      expect(await read(`${value}::bigint`)).toBe(value);
    });

    it('of an entity are numbers, as are counts', async () => {
      const runs = store.dataSource.getRepository(TaskRunEntity);
      const id = newId();
      await runs.insert({ id, name: 'a', taskKey: 'a', dynamicKey: 'a-0', totalRunTimeUs: 5_000_000_000 });
      expect((await runs.findOneByOrFail({ id })).totalRunTimeUs).toBe(5_000_000_000);
      expect(await read('count(*)')).toBe(1);
    });
  });

  describe('encoded payloads', () => {
    const PAYLOADS = [
      '{"b":1,"a":2}',
      '{"a":1,"a":2}',
      ' { "spaced" : [ 1 ] } ',
      '12345678901234567890',
      '1.0',
      '"text"',
      'null',
      '{"$nestor":"bigint","value":"1"}',
    ];

    it.each(PAYLOADS)('are text, to the letter: %s', async (result) => {
      const runs = store.dataSource.getRepository(TaskRunEntity);
      const id = newId();
      await runs.query(
        `insert into nestor.task_run (id, name, task_key, dynamic_key, result) values ($1, 'a', 'a', 'a-0', $2)`,
        [id, result],
      );
      expect((await runs.findOneByOrFail({ id })).result).toBe(result);
      expect(await runs.query('select result from nestor.task_run where id = $1', [id])).toEqual([{ result }]);
    });
  });

  it('documents are objects', async () => {
    const runs = store.dataSource.getRepository(FlowRunEntity);
    const id = newId();
    await runs.insert({
      id,
      flowId: newId(),
      rootFlowRunId: id,
      name: 'a',
      tags: ['x', 'y'],
      labels: { team: 'data', size: 3, hot: true },
      context: { nested: { list: [1, null, 'a'] } },
      empiricalPolicy: { retries: 2 },
    });
    expect(await runs.findOneByOrFail({ id })).toMatchObject({
      tags: ['x', 'y'],
      labels: { team: 'data', size: 3, hot: true },
      context: { nested: { list: [1, null, 'a'] } },
      empiricalPolicy: { retries: 2 },
    });
  });

  it('connections that are not ours keep the parsers they had', async () => {
    const rows = await sql(database, `select now() as now, 1::bigint as big, '{"a":1}'::json as json`);
    expect(rows).toEqual([{ now: expect.any(Date), big: '1', json: { a: 1 } }]);
  });
});

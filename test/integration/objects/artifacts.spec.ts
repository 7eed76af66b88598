import type { INestApplicationContext } from '@nestjs/common';
import { Artifacts, currentRun } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

interface Row {
  readonly id: string;
  readonly key: string | null;
  readonly type: string;
  readonly data: unknown;
  readonly flow_run_id: string | null;
  readonly task_run_id: string | null;
}

describe('artifacts', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let artifacts: Artifacts;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url });
    artifacts = app.get(Artifacts);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const rowsOf = (flowRunId: string): Promise<Row[]> =>
    sql<Row>(database, 'select * from nestor.artifact where flow_run_id = $1 order by created, id', [flowRunId]);

  describe('outside any run', () => {
    it.each<[string, (key: string) => Promise<string>, string, unknown]>([
      ['markdown', (key) => artifacts.markdown({ key, markdown: '# Hi' }), 'markdown', '# Hi'],
      ['table', (key) => artifacts.table({ key, table: [{ b: 1, a: 2 }] }), 'table', '[{"b":1,"a":2}]'],
      ['columns', (key) => artifacts.table({ key, table: { a: [1, 2] } }), 'table', '{"a":[1,2]}'],
      [
        'link',
        (key) => artifacts.link({ key, link: 'https://a.example', linkText: 'A' }),
        'markdown',
        '[A](https://a.example)',
      ],
      [
        'image',
        (key) => artifacts.image({ key, imageUrl: 'https://a.example/a.png' }),
        'image',
        'https://a.example/a.png',
      ],
      ['progress', (key) => artifacts.progress({ key, progress: 12.5 }), 'progress', 12.5],
    ])('are published as the contract has them: %s [A01]', async (name, publish, type, data) => {
      const id = await publish(`kind-${name}`);
      expect(await artifacts.get(id)).toEqual({
        ...{ id, key: `kind-${name}`, type, data, description: null, flowRunId: null, taskRunId: null },
        ...{ created: expect.any(Number), updated: expect.any(Number) },
      });
      const [row] = await sql<Row>(database, 'select * from nestor.artifact where id = $1', [id]);
      expect(row).toMatchObject({ type, data });
    });

    it('with one key are versions of one thing: all in its history, the last one the latest [A01]', async () => {
      const ids = [];
      for (const markdown of ['one', 'two', 'two']) ids.push(await artifacts.markdown({ key: 'report', markdown }));
      expect(await artifacts.latest('report')).toMatchObject({ id: ids[2], data: 'two', key: 'report' });
      expect((await artifacts.list('report')).map(({ id }) => id)).toEqual([...ids].reverse());
      expect((await artifacts.list('report', { limit: 1, before: ids[2]! })).map(({ id }) => id)).toEqual([ids[1]]);
      expect(await artifacts.list('report', { before: ids[0]! })).toEqual([]);
    });

    it('without a key have no history', async () => {
      const id = await artifacts.markdown({ markdown: 'alone', description: 'What it is.' });
      expect(await artifacts.get(id)).toMatchObject({ key: null, description: 'What it is.' });
      expect(await sql(database, 'select from nestor.artifact_collection where latest_id = $1', [id])).toEqual([]);
    });

    it('move as progress, under one id, and in the latest too [A02]', async () => {
      const id = await artifacts.progress({ key: 'import' });
      expect(await artifacts.latest('import')).toMatchObject({ id, data: 0 });
      for (const progress of [10, 90]) {
        await artifacts.updateProgress(id, progress);
        expect(await artifacts.get(id)).toMatchObject({ id, type: 'progress', data: progress });
        expect(await artifacts.latest('import')).toMatchObject({ id, data: progress });
      }
      const next = await artifacts.progress({ key: 'import', progress: 1 });
      await artifacts.updateProgress(id, 100);
      expect(await artifacts.latest('import')).toMatchObject({ id: next, data: 1 });
      expect((await artifacts.list('import')).map(({ data }) => data)).toEqual([1, 100]);
    });

    it('that are published at once leave the latest that the history has', async () => {
      const other = await startApp({ url: database.url });
      const publish = (by: INestApplicationContext, index: number): Promise<string> =>
        by.get(Artifacts).markdown({ key: 'race', markdown: `${index}` });
      await Promise.all(Array.from({ length: 60 }, (_, index) => publish(index % 2 ? app : other, index)));
      await other.close();
      const history = await artifacts.list('race', { limit: 200 });
      expect(history).toHaveLength(60);
      expect(await artifacts.latest('race')).toMatchObject({ id: history[0]!.id, data: history[0]!.data });
    });

    it('say what PostgreSQL has no text for in another way', async () => {
      const id = await artifacts.markdown({ markdown: 'a\0b\ud800', description: 'c\0' });
      expect(await artifacts.get(id)).toMatchObject({ data: 'a\\0b\ufffd', description: 'c\\0' });
    });

    it('that cannot be meant are refused, and nothing is kept', async () => {
      await expect(artifacts.markdown({ key: 'Not A Key', markdown: 'x' })).rejects.toMatchObject({
        code: 'INVALID_ARTIFACT',
        message: expect.stringContaining('"Not A Key"'),
      });
      await expect(artifacts.progress({ key: 'refused', progress: 101 })).rejects.toMatchObject({ field: 'progress' });
      expect(await artifacts.latest('refused')).toBeNull();
      expect(await artifacts.list('refused')).toEqual([]);
      await expect(artifacts.list('refused', { limit: 0 })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
      await expect(artifacts.list('refused', { before: 'x' })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
    });

    it('that are not there are not found', async () => {
      const markdown = await artifacts.markdown({ markdown: 'no progress' });
      for (const id of ['01990000-0000-7000-8000-000000000000', 'x']) {
        await expect(artifacts.get(id)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND', artifactId: id });
        await expect(artifacts.updateProgress(id, 1)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
      }
      await expect(artifacts.updateProgress(markdown, 1)).rejects.toThrow(/no progress artifact/);
    });
  });

  describe('of runs', () => {
    let relay: Relay;
    let gate: Gate;
    let processes: Record<string, RelayProcess>;
    beforeEach(() => {
      relay = new Relay(database);
      gate = new Gate();
      processes = {};
    });
    afterEach(async () => {
      gate.open();
      await relay.close();
    });

    /** A process may take a run over before the test knows it by name. */
    const of = async (stage: Stage): Promise<Artifacts> => (await waitFor(() => processes[stage.owner])).get(Artifacts);
    const start = async (owner: string, script: (stage: Stage) => Promise<unknown>): Promise<RelayProcess> =>
      (processes[owner] = await relay.start(owner, (stage) => (stage.script = () => script(stage))));

    /** Plays a flow in a process that dies where the flow comes to the interruption, then in another. */
    const playTwice = async (
      script: (stage: Stage) => Promise<unknown>,
      meanwhile: () => Promise<unknown> = async () => undefined,
    ): Promise<{ id: string; result: unknown }> => {
      const first = await start('first', script);
      const id = await first.begin('play');
      await gate.reached;
      await meanwhile();
      await first.die();
      const second = await start('second', script);
      return { id, result: await second.result(id) };
    };
    const interruption = async (stage: Stage): Promise<void> => {
      if (stage.owner === 'first') await gate.pass();
    };

    it('belong to the run that published them', async () => {
      const one = await start('one', async (stage) => {
        stage.perform = async () => (await of(stage)).markdown({ markdown: 'by the task' });
        return [await (await of(stage)).markdown({ markdown: 'by the flow' }), await stage.act()];
      });
      const id = await one.begin('play');
      const [byFlow, byTask] = (await one.result(id)) as [string, string];
      const [task] = await taskRunsOf(database, id);
      expect(await artifacts.get(byFlow)).toMatchObject({ flowRunId: id, taskRunId: null });
      expect(await artifacts.get(byTask)).toMatchObject({ flowRunId: id, taskRunId: task!.id });
    });

    it('are published once by a body that runs again [A01]', async () => {
      const { id, result } = await playTwice(async (stage) => {
        const desk = await of(stage);
        const ids = [
          await desk.markdown({ key: 'replayed', markdown: `at ${currentRun().now().toISOString()}` }),
          await desk.table({ table: [{ drawn: currentRun().random() }] }),
        ];
        for (let round = 0; round < 3; round += 1) ids.push(await desk.markdown({ markdown: 'the same' }));
        await stage.act(1);
        await interruption(stage);
        ids.push(await desk.markdown({ markdown: 'new' }));
        return ids;
      });
      const ids = (await rowsOf(id)).map((row) => row.id);
      expect(ids).toHaveLength(6);
      expect(result).toEqual(expect.arrayContaining(ids));
    });

    it('published again do not take the place of a later one with their key', async () => {
      let later = '';
      await playTwice(
        async (stage) => {
          await (await of(stage)).markdown({ key: 'shared', markdown: 'of the run' });
          await stage.act(1);
          await interruption(stage);
        },
        async () => (later = await artifacts.markdown({ key: 'shared', markdown: 'later' })),
      );
      expect(await artifacts.latest('shared')).toMatchObject({ id: later, data: 'later' });
      expect(await artifacts.list('shared')).toHaveLength(2);
    });

    it('of a body that is tried again are new where they say something else', async () => {
      const one = await start('one', async (stage) => {
        const desk = await of(stage);
        const { attempt } = currentRun();
        await desk.markdown({ markdown: 'plan' });
        await desk.markdown({ markdown: `attempt ${attempt}` });
        if (attempt === 1) throw new Error('once more');
      });
      const id = await one.begin('playTwice');
      await one.result(id);
      expect((await rowsOf(id)).map(({ data }) => data)).toEqual(['plan', 'attempt 1', 'attempt 2']);
    });

    it('of a task that a further attempt of its flow calls again belong to that call as well', async () => {
      const one = await start('one', async (stage) => {
        stage.perform = async () => {
          await (await of(stage)).markdown({ markdown: 'the same' });
          if (stage.performed.length === 1) throw new Error('once more');
        };
        await stage.act(1);
      });
      const id = await one.begin('playTwice');
      await one.result(id);
      const tasks = await taskRunsOf(database, id);
      expect(tasks).toHaveLength(2);
      expect((await rowsOf(id)).map(({ task_run_id }) => task_run_id)).toEqual(tasks.map((task) => task.id));
    });

    it('of a task that runs again are published once where they say the same, and besides where they do not', async () => {
      const { id } = await playTwice(async (stage) => {
        stage.perform = async () => {
          const desk = await of(stage);
          await desk.markdown({ markdown: 'the same' });
          await desk.markdown({ markdown: `by ${stage.owner}` });
          await interruption(stage);
        };
        await stage.act(1);
      });
      const [task, ...others] = await taskRunsOf(database, id);
      expect(others).toEqual([]);
      expect((await rowsOf(id)).map(({ data, task_run_id }) => [data, task_run_id])).toEqual(
        ['the same', 'by first', 'by second'].map((data) => [data, task!.id]),
      );
    });

    it('of a fork are its own', async () => {
      const one = await start('one', async (stage) => (await of(stage)).markdown({ markdown: 'of each' }));
      const id = await one.begin('play');
      const published = await one.result(id);
      const fork = await one.control.fork(id);
      const forked = await one.result(fork);
      expect(forked).not.toBe(published);
      expect((await rowsOf(fork)).map((row) => row.id)).toEqual([forked]);
      expect(await rowsOf(id)).toHaveLength(1);
    });

    it('are not published by code that outlived its run, and nobody has to notice', async () => {
      let late: Promise<unknown> | undefined;
      const one = await start('one', async (stage) => {
        const desk = await of(stage);
        void gate.pass().then(() => {
          void desk.markdown({ markdown: 'forgotten' });
          late = desk.markdown({ markdown: 'late' });
        });
      });
      const id = await one.begin('play');
      await one.result(id);
      gate.open();
      await waitFor(() => late !== undefined);
      await expect(late).rejects.toMatchObject({ code: 'RUN_ENDED' });
      expect(await rowsOf(id)).toEqual([]);
    });

    it('wait within a run while the database is away, and fail at once outside', async () => {
      const proxy = await DatabaseProxy.start(database);
      const away = new Relay({ url: proxy.url });
      try {
        const one: RelayProcess = await away.start('one', (stage) => {
          stage.script = async () => {
            proxy.cut();
            const published = one.get(Artifacts).markdown({ markdown: 'patient' });
            await gate.pass();
            return published;
          };
        });
        const id = await one.begin('play');
        await gate.reached;
        await expect(one.get(Artifacts).markdown({ markdown: 'impatient' })).rejects.toThrow();
        await proxy.restore();
        gate.open();
        expect(await one.result(id)).toEqual((await rowsOf(id))[0]!.id);
      } finally {
        await away.close();
        proxy.close();
      }
    });
  });
});

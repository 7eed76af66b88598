import { BackgroundTasks, delay } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';

/** Runs delay tasks: however often their code is executed, what a recorded run delayed is delayed once. */
describe('a task that is delayed within a run', () => {
  let database: TestDatabase;
  let relay: Relay;

  beforeAll(async () => void (database = await testDatabase()));
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });
  beforeEach(() => void (relay = new Relay(database)));
  afterEach(async () => {
    await relay.close();
    await sql(database, 'truncate nestor.task_run, nestor.task_run_state, nestor.task_queue');
  });

  const delayedRuns = async (): Promise<string[]> => {
    const rows = await sql<{ name: string }>(
      database,
      `select name from nestor.task_run where parameters is not null order by id`,
    );
    return rows.map(({ name }) => name);
  };
  const drained = async ({ app }: RelayProcess): Promise<void> => {
    const runs = await sql<{ id: string }>(database, 'select id from nestor.task_run where parameters is not null');
    await Promise.all(runs.map(({ id }) => app.get(BackgroundTasks).handle(id).result({ timeout: '10s' })));
  };
  const delayTwice = async (stage: Stage): Promise<void> => {
    await delay(stage, { name: 'one' }).act(1);
    await delay(stage, { name: 'same' }).act(1);
  };

  it('is delayed once by a flow that goes on after a crash', async () => {
    const gate = new Gate();
    const first = await relay.start('first', (stage) => {
      stage.script = async () => {
        await delayTwice(stage);
        await gate.pass();
      };
    });
    const id = await first.begin('play');
    await gate.reached;
    await drained(first); // also what has left the queue is not delayed again
    await first.die();
    const second = await relay.start('second', (stage) => (stage.script = () => delayTwice(stage)));
    await second.result(id);
    await drained(second);
    expect((await delayedRuns()).sort()).toEqual(['one', 'same']);
    expect([...first.stage.performed, ...second.stage.performed]).toEqual(['act(1)', 'act(1)']);
    gate.open();
  });

  it('is delayed once by a flow that is tried again', async () => {
    let attempts = 0;
    const process = await relay.start('process', (stage) => {
      stage.script = async () => {
        await delayTwice(stage);
        attempts += 1;
        if (attempts === 1) throw new Error('once more');
      };
    });
    await process.result(await process.begin('playTwice'));
    await drained(process);
    expect(attempts).toBe(2);
    expect(process.stage.performed).toEqual(['act(1)', 'act(1)']);
  });

  it('is executed wherever there is room: those of one flow on several machines, and the flow gets what they gave [T23]', async () => {
    const gate = new Gate();
    const serving = { backgroundTasks: { concurrency: 1 } };
    const code = (stage: Stage): void => {
      stage.script = async () => {
        const tasks = await Promise.all([1, 2].map((part) => delay(stage).act(part)));
        return Promise.all(tasks.map((task) => task.result({ timeout: '10s' })));
      };
      // Each holds its process until both are executed.
      stage.perform = async (call) => {
        together.push(stage.owner);
        if (together.length === 2) gate.open();
        await gate.pass();
        return `${call} by ${stage.owner}`;
      };
    };
    const together: string[] = [];
    const first = await relay.start('first', code, serving);
    await relay.start('second', code, serving);
    const parts = (await first.result(await first.begin('play'))) as string[];
    expect(together.sort()).toEqual(['first', 'second']);
    expect(parts.map((part) => part.replace(/ by .*/, ''))).toEqual(['act(1)', 'act(2)']);
  });

  it('is delayed anew by the next attempt of a task', async () => {
    let attempts = 0;
    const process = await relay.start('process', (stage) => {
      stage.script = () => stage.directTwice();
      stage.direction = async () => {
        await delay(stage).act(1);
        attempts += 1;
        if (attempts === 1) throw new Error('once more');
      };
    });
    await process.result(await process.begin('play'));
    await drained(process);
    expect(process.stage.performed.filter((call) => call === 'act(1)')).toHaveLength(2);
  });

  it('is not delayed by an attempt that is over', async () => {
    const gate = new Gate();
    let late: Promise<unknown> = Promise.resolve();
    const process = await relay.start('process', (stage) => {
      stage.script = async () => {
        late = gate.pass().then(() => delay(stage).act(1));
        await gate.reached;
      };
    });
    await process.result(await process.begin('play'));
    gate.open();
    await expect(late).rejects.toMatchObject({ code: 'RUN_ENDED' });
    expect(await delayedRuns()).toEqual([]);
  });
});

import { setTimeout as pause } from 'node:timers/promises';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLimits, Flow, FlowRuns, Flows, Task, withTags } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { LimitedTags } from '../../../libs/orchestrator/src/runtime/concurrency/limited-tags.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { stateNames } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { checkAtEveryCommit, leftovers, NOTHING } from './support/limits.js';

@Injectable()
class Tagged {
  running = 0;
  most = 0;
  work: (call: number) => Promise<unknown> = async () => undefined;

  @Flow({ name: 'fan out' })
  async fanOut(count: number): Promise<unknown[]> {
    return Promise.all(Array.from({ length: count }, (_, index) => this.load(index)));
  }

  @Flow({ name: 'nested' })
  async nested(): Promise<unknown> {
    return withTags(['database'], () => this.inner());
  }

  @Flow({ name: 'inner' })
  async inner(): Promise<unknown> {
    return this.load(1);
  }

  @Task({ tags: ['database', 'unlimited'] })
  async load(call: number): Promise<unknown> {
    return this.counted(call);
  }

  @Task({ tags: ['database'], retries: 1, retryDelay: '100ms' })
  async loadAgain(call: number): Promise<unknown> {
    return this.counted(call);
  }

  @Task()
  async other(): Promise<string> {
    return 'not limited';
  }

  private async counted(call: number): Promise<unknown> {
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    try {
      return await this.work(call);
    } finally {
      this.running -= 1;
    }
  }
}

describe('limits of tags', () => {
  let database: TestDatabase;
  let apps: INestApplicationContext[];
  let limits: ConcurrencyLimits;
  let tagged: Tagged[];
  beforeAll(async () => {
    database = await testDatabase();
    const options = { url: database.url, app: 'tags', drain: '10ms' as const, providers: [Tagged] };
    apps = await Promise.all([startApp(options), startApp(options)]);
    await checkAtEveryCommit(database);
    limits = apps[0]!.get(ConcurrencyLimits);
    tagged = apps.map((app) => app.get(Tagged));
  });
  beforeEach(async () => {
    for (const one of tagged) Object.assign(one, { running: 0, most: 0, work: async () => undefined });
    await limits.create('tag:database', { limit: 2 });
  });
  afterEach(async () => {
    await waitFor(async () => JSON.stringify(await leftovers(database)) === JSON.stringify(NOTHING));
    await limits.delete('tag:database');
  });
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await database.drop();
  });

  /** The most task runs of a tag that were RUNNING at once, by their histories. */
  const mostRunning = async (flowRunId: string): Promise<number> => {
    const [row] = await sql<{ most: number }>(
      database,
      `with step as (
         select s.timestamp, case when s.type = 'RUNNING' then 1 else -1 end as change
           from nestor.task_run_history s join nestor.task_run t on t.id = s.task_run_id
          where t.flow_run_id = $1 and s.type in ('RUNNING', 'COMPLETED', 'FAILED'))
       select max(running)::integer as most
         from (select sum(change) over (order by timestamp) as running from step) as running`,
      [flowRunId],
    );
    return row!.most;
  };

  it('let so many task runs be RUNNING at any instant, and no more [G07]', async () => {
    // The first one waits for another, so that it is no matter of timing whether two meet.
    tagged[0]!.work = async (call) => {
      await waitFor(() => tagged[0]!.most >= 2);
      return pause(5, call);
    };
    const { id } = await apps[0]!.get(Flows).start(Tagged, 'fanOut', 10);
    expect(await apps[0]!.get(FlowRuns).result(id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(tagged[0]!.most).toBe(2);
    expect(await mostRunning(id)).toBe(2);
  });

  it('hold across processes, and show the task runs that have slots [G07] [W20]', async () => {
    await waitFor(() => apps[1]!.get(LimitedTags).limitsOf(['database']).length > 0);
    let goOn = (): void => undefined;
    const open = new Promise<void>((resolve) => (goOn = resolve));
    const all = tagged.flatMap((one) => {
      one.work = () => open;
      return [one.load(1), one.load(2)];
    });
    await waitFor(async () => {
      const { activeSlots, waiting } = await limits.get('tag:database');
      return activeSlots === 2 && waiting === 2;
    });
    expect(tagged.map(({ running }) => running).reduce((one, other) => one + other)).toBe(2);
    const slots = await limits.slots('tag:database');
    expect(slots.map(({ taskRunId }) => typeof taskRunId)).toEqual(['string', 'string']);
    expect(await tagged[0]!.other()).toBe('not limited');
    goOn();
    await Promise.all(all);
  });

  it('are let go of while a task run waits for its next attempt', async () => {
    await limits.update('tag:database', { limit: 1 });
    let failures = 0;
    tagged[0]!.work = async (call) => {
      if (call === 1 && failures === 0) {
        failures += 1;
        throw new Error('once');
      }
      return call;
    };
    const retried = tagged[0]!.loadAgain(1);
    await waitFor(() => failures === 1);
    expect(await tagged[0]!.load(2)).toBe(2);
    expect(await retried).toBe(1);
  });

  it('of 0 let nothing with the tag run: its task run fails with that', async () => {
    await limits.update('tag:database', { limit: 0 });
    const { id } = await apps[0]!.get(Flows).start(Tagged, 'fanOut', 1);
    await expect(apps[0]!.get(FlowRuns).result(id)).rejects.toMatchObject({ code: 'TOO_MANY_SLOTS' });
    const [task] = await sql<{ id: string }>(database, 'select id from nestor.task_run where flow_run_id = $1', [id]);
    expect(await stateNames(database, task!.id)).toEqual(['Pending', 'Failed']);
  });

  it('do not count what stands for a subflow, within which its tasks would wait for it', async () => {
    await limits.update('tag:database', { limit: 1 });
    tagged[0]!.work = async () => 'within';
    expect(await tagged[0]!.nested()).toBe('within');
  });
});

import { Events, type OrchestratorOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import type { INestApplicationContext } from '@nestjs/common';
import { Client } from 'pg';
import { Retention } from '../../../libs/orchestrator/src/runtime/retention/retention.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { letPassBeDue, openWeek, weeksOf } from './support/kept.js';

const DAY_MS = 86_400_000;
const HEARTBEAT = 'prefect.flow-run.heartbeat';

describe('events that are older than they are kept', () => {
  let database: TestDatabase;
  let apps: INestApplicationContext[];
  beforeEach(async () => {
    database = await testDatabase();
    apps = [];
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await database.drop();
  });

  const start = async (
    retention: OrchestratorOptions['retention'] = { events: '7d' },
  ): Promise<INestApplicationContext> => {
    const app = await startApp({ url: database.url, app: 'shop', providers: [Stage], retention, drain: '10ms' });
    apps.push(app);
    return app;
  };
  const emit = (app: INestApplicationContext, event: string, daysAgo: number, id?: string): Promise<string> =>
    app.get(Events).emit({
      event,
      resource: { id: 'shop' },
      occurred: new Date(Date.now() - daysAgo * DAY_MS),
      payload: { daysAgo },
      ...(id !== undefined && { id }),
    });
  const removeExpired = async (app: INestApplicationContext) => {
    await letPassBeDue(database);
    return app.get(Retention).removeExpired();
  };
  /** What is left: `name daysAgo`. */
  const left = async (): Promise<string[]> => {
    const rows = await sql<{ what: string }>(
      database,
      `select event || ' ' || (payload ->> 'daysAgo') as what from nestor.event
        where payload ? 'daysAgo' order by event, (payload ->> 'daysAgo')::float8`,
    );
    return rows.map(({ what }) => what);
  };

  it('are removed after a week, and those of some names by their own age [S23]', async () => {
    const app = await start({
      events: '7d',
      eventsByType: { [HEARTBEAT]: '2d', 'shop.stock.*': '1d', 'shop.stock.level.*': '3d', 'shop.order.*': '30d' },
    });
    for (const daysAgo of [0.5, 1.5, 2.5, 3.5, 6.5, 7.5, 40]) {
      for (const name of [
        HEARTBEAT,
        `${HEARTBEAT}s`,
        'shop.stock',
        'shop.stock.count',
        'shop.stock.level.low',
        'shop.order.paid',
      ]) {
        await emit(app, name, daysAgo);
      }
    }
    const removed = await removeExpired(app);
    expect(await left()).toEqual([
      ...[0.5, 1.5].map((daysAgo) => `${HEARTBEAT} ${daysAgo}`),
      ...[0.5, 1.5, 2.5, 3.5, 6.5].map((daysAgo) => `${HEARTBEAT}s ${daysAgo}`),
      ...[0.5, 1.5, 2.5, 3.5, 6.5].map((daysAgo) => `shop.order.paid ${daysAgo}`),
      ...[0.5, 1.5, 2.5, 3.5, 6.5].map((daysAgo) => `shop.stock ${daysAgo}`),
      'shop.stock.count 0.5',
      ...[0.5, 1.5, 2.5].map((daysAgo) => `shop.stock.level.low ${daysAgo}`),
    ]);
    expect(removed).toMatchObject({ events: 42 - 21 });
  });

  it('go by the week where all of it may go, and one by one otherwise [S23]', async () => {
    const app = await start();
    const [old, border] = [
      await openWeek(database, 'event', 'occurred', 3),
      await openWeek(database, 'event', 'occurred', 1),
    ];
    await emit(app, 'old', 20);
    await emit(app, 'young', 6.9);
    const removed = await removeExpired(app);
    expect(removed!.partitions).toContain(old);
    expect(await weeksOf(database, 'event')).not.toContain(old);
    expect(await weeksOf(database, 'event')).toContain(border);
    expect(await left()).toEqual(['young 6.9']);
  });

  it('are kept for ever where somebody says so', async () => {
    const app = await start({ events: false, eventsByType: {} });
    await emit(app, 'old', 4_000);
    expect(await removeExpired(app)).toMatchObject({ events: 0 });
    expect(await left()).toEqual(['old 4000']);
  });

  it('go one by one when somebody reads the week for long, and nobody waits for that [S23]', async () => {
    const app = await start();
    const old = await openWeek(database, 'event', 'occurred', 3);
    await emit(app, 'old', 20);
    const reader = new Client({ connectionString: database.url });
    await reader.connect();
    await reader.query('begin; lock table nestor.event in access share mode'); // as a backup does, for an hour
    try {
      const pass = removeExpired(app);
      let slowestMs = 0;
      for (let isOver = false; !isOver;) {
        const begun = performance.now();
        await emit(app, 'meanwhile', 0);
        slowestMs = Math.max(slowestMs, performance.now() - begun);
        isOver = await Promise.race([
          pass.then(() => true),
          new Promise<false>((resolve) => setTimeout(resolve, 5, false)),
        ]);
      }
      expect(slowestMs).toBeLessThan(2_000);
      expect(await pass).toMatchObject({ events: 1 });
      expect(await weeksOf(database, 'event')).toContain(old);
    } finally {
      await reader.end();
    }
    await removeExpired(app);
    expect(await weeksOf(database, 'event')).not.toContain(old);
  }, 30_000);

  it('are removed by one process at a time, and by another one when that has died [S23]', async () => {
    const [one, other] = await Promise.all([start(), start()]);
    await emit(one, 'old', 20);
    const passes = await Promise.all([one, other].map((app) => app.get(Retention).removeExpired()));
    expect(passes.filter((removed) => removed !== null)).toMatchObject([{ events: 1 }]);
    expect(await one.get(Retention).removeExpired()).toBeNull(); // within the hour

    await emit(one, 'old', 20);
    await sql(
      database,
      `update nestor.retention_pass
          set next_at = now(), process_id = gen_random_uuid(), held_until = now() + interval '1 minute'`,
    );
    expect(await other.get(Retention).removeExpired()).toBeNull();
    await sql(database, `update nestor.retention_pass set held_until = now() - interval '1 second'`);
    expect(await other.get(Retention).removeExpired()).toMatchObject({ events: 1 });
  });

  it('are known, so that they are not stored again, for as long as a run of their time goes on', async () => {
    const app = await start();
    const week = await openWeek(database, 'event_receipt', 'id', 5);
    const [{ id }] = (await sql<{ id: string }>(
      database,
      `insert into nestor.flow_run (id, flow_id, root_flow_run_id, name, app, state_type)
       select old.id, f.id, old.id, 'old-timer', 'elsewhere', 'PAUSED'
         from nestor.flow f,
              (select overlay(nestor.uuid_floor(now() - interval '34 days')::text placing '7000-8' from 15 for 6)::uuid as id) as old
        limit 1 returning id`,
    )) as [{ id: string }];
    await emit(app, 'told', 0, id);
    await removeExpired(app);
    await emit(app, 'told', 0, id);
    expect(await left()).toEqual(['told 0']);
    expect(await weeksOf(database, 'event_receipt')).toContain(week);

    await sql(database, `update nestor.flow_run set state_type = 'COMPLETED' where id = $1`, [id]);
    await removeExpired(app);
    expect(await weeksOf(database, 'event_receipt')).not.toContain(week);
  });
});

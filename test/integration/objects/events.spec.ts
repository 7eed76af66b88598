import type { INestApplicationContext } from '@nestjs/common';
import { currentRun, Events, Flows } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';

interface Row {
  readonly id: string;
  readonly event: string;
  readonly resource: Record<string, string>;
  readonly related: readonly Record<string, string>[];
  readonly payload: unknown;
  readonly follows: string | null;
}

describe('events', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let events: Events;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url });
    events = app.get(Events);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const named = (event: string): Promise<Row[]> =>
    sql<Row>(database, 'select * from nestor.event_feed where event = $1 order by occurred, id', [event]);

  it('are stored as they are said, and when [E01]', async () => {
    const follows = '0199c3d2-5b7e-7000-8000-000000000001';
    const id = await events.emit({
      event: 'shop.order.paid',
      resource: { id: 'shop.order.1', name: 'Order 1', labels: { 'shop.customer': '17' } },
      related: [{ id: 'shop.customer.17', role: 'customer', name: 'Ada' }],
      payload: { total: 12.5, lines: [{ sku: 'a' }] },
      occurred: new Date('2026-11-25T10:00:00.123Z'),
      follows,
    });
    const customer = {
      'prefect.resource.id': 'shop.customer.17',
      'prefect.resource.role': 'customer',
      'prefect.resource.name': 'Ada',
    };
    expect(await named('shop.order.paid')).toMatchObject([
      {
        id,
        follows,
        occurred: new Date('2026-11-25T10:00:00.123Z'),
        resource_id: 'shop.order.1',
        resource: { 'prefect.resource.id': 'shop.order.1', 'prefect.resource.name': 'Order 1', 'shop.customer': '17' },
        related: [customer],
        payload: { total: 12.5, lines: [{ sku: 'a' }] },
      },
    ]);
    const [row] = await sql(database, 'select related_resource_ids from nestor.event where id = $1', [id]);
    expect(row).toEqual({ related_resource_ids: ['shop.customer.17'] });
  });

  it('happen now unless they say when', async () => {
    await events.emit({ event: 'now', resource: { id: 'a' } });
    const [row] = await sql<{ apart: number }>(
      database,
      `select abs(extract(epoch from received - occurred))::float as apart from nestor.event where event = 'now'`,
    );
    expect(row!.apart).toBeLessThan(5);
  });

  it('of one id are stored once, whatever else they say [E01]', async () => {
    const id = '0199C3D2-5B7E-7000-8000-00000000000A';
    const emit = (n: number): Promise<string> =>
      events.emit({ event: 'once', id, resource: { id: 'a' }, payload: { n } });
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => emit(n)));
    expect(new Set(ids)).toEqual(new Set([id.toLowerCase()]));
    expect(await named('once')).toHaveLength(1);
  });

  it('that cannot be meant are refused, and nothing is kept [E02]', async () => {
    const related = Array.from({ length: 101 }, (_, index) => ({ id: `r.${index}`, role: 'part' }));
    await expect(events.emit({ event: 'refused', resource: { id: '' } })).rejects.toMatchObject({
      code: 'INVALID_EVENT',
    });
    await expect(events.emit({ event: 'refused', resource: { id: 'a' }, related })).rejects.toThrow(/more than 100/);
    await expect(events.emit({ event: 'x'.repeat(1_025), resource: { id: 'a' } })).rejects.toThrow(/more than 1024/);
    expect(await named('refused')).toEqual([]);
  });

  it('say what PostgreSQL has no text for in another way', async () => {
    await events.emit({ event: 'odd\0', resource: { id: 'a\0' }, payload: { 'k\0': 'v\ud800' } });
    expect(await named('odd\\0')).toMatchObject([
      { resource: { 'prefect.resource.id': 'a\\0' }, payload: { 'k\\0': 'v\ufffd' } },
    ]);
  });

  it('of runs are related to them, their flow and their tags', async () => {
    const ours = await startApp({ url: database.url, providers: [Stage] });
    const stage = ours.get(Stage);
    const emit = (): Promise<string> =>
      ours.get(Events).emit({
        event: 'within',
        resource: { id: 'a' },
        related: [{ id: 'prefect.tag.nightly', role: 'cause' }],
      });
    stage.perform = emit;
    stage.script = async () => [await emit(), await stage.act(), currentRun().flowRunName];
    const handle = await ours
      .get(Flows)
      .with({ tags: ['nightly', 'eu'] })
      .start(Stage, 'play');
    const [inFlow, inTask, name] = (await handle.result()) as string[];
    const [task] = await taskRunsOf(database, handle.id);
    const [row] = await sql<{ flow_id: string }>(database, 'select flow_id from nestor.flow_run where id = $1', [
      handle.id,
    ]);
    await ours.close();

    const flowRun = { 'prefect.resource.id': `prefect.flow-run.${handle.id}`, 'prefect.resource.role': 'flow-run' };
    const taskRun = { 'prefect.resource.id': `prefect.task-run.${task!.id}`, 'prefect.resource.role': 'task-run' };
    const flow = { 'prefect.resource.id': `prefect.flow.${row!.flow_id}`, 'prefect.resource.role': 'flow' };
    const expected = [
      { 'prefect.resource.id': 'prefect.tag.nightly', 'prefect.resource.role': 'cause' },
      { ...flowRun, 'prefect.resource.name': name },
      { ...flow, 'prefect.resource.name': 'play' },
      { 'prefect.resource.id': 'prefect.tag.eu', 'prefect.resource.role': 'tag' },
    ];
    const rows = new Map((await named('within')).map((one) => [one.id, one.related]));
    expect(rows.get(inFlow!)).toEqual(expected);
    expect(rows.get(inTask!)).toEqual([
      ...expected.slice(0, 2),
      { ...taskRun, 'prefect.resource.name': expect.any(String) },
      ...expected.slice(2),
    ]);
  });

  it('are emitted once by a body that runs again', async () => {
    const relay = new Relay(database);
    const gate = new Gate();
    const processes: Record<string, RelayProcess> = {};
    const script = async (stage: Stage): Promise<void> => {
      const { app: here } = await waitFor(() => processes[stage.owner]);
      const emit = (event: string) => here.get(Events).emit({ event, resource: { id: 'a' }, occurred: new Date() });
      await emit('replayed');
      await emit('replayed');
      await stage.act(1);
      if (stage.owner === 'first') await gate.pass();
      await emit(`replayed by ${stage.owner}`);
    };
    const start = async (owner: string): Promise<RelayProcess> =>
      (processes[owner] = await relay.start(owner, (stage) => (stage.script = () => script(stage))));
    const first = await start('first');
    const id = await first.begin('play');
    await gate.reached;
    await first.die();
    await (await start('second')).result(id);
    gate.open();
    await relay.close();

    expect(await flowRunOf(database, id)).toMatchObject({ empirical_policy: { recoveries: 1 } });
    expect(await named('replayed')).toHaveLength(2);
    expect(await named('replayed by second')).toHaveLength(1);
  });
});

import { completed, failed, formatInstant, instantOfMs, pending, running } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { testDatabase } from '../../support/database.js';
import { create, flowNamed, FlowRunStory, insert, move, save, TaskRunStory } from './support/runs.js';
import { openStore, type Store } from './support/store.js';

describe('the event feed', () => {
  let database: TestDatabase;
  let store: Store;
  let flowId: string;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database);
    flowId = await flowNamed(store, 'etl');
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  async function finished(): Promise<{ flowRun: FlowRunStory; taskRun: TaskRunStory }> {
    const flowRun = new FlowRunStory(flowId);
    await create(store, flowRun, pending());
    await move(store, [flowRun.enter(running())]);
    const taskRun = new TaskRunStory(flowRun.run.id);
    for (const state of [pending(), running(), failed({ message: 'Error: no' })])
      await save(store, [taskRun.enter(state)]);
    await move(store, [flowRun.enter(completed())]);
    return { flowRun, taskRun };
  }

  it.each(['flow run', 'task run'] as const)(
    'has exactly one event per state of a %s, each following the last [O25] [F27]',
    async (kind) => {
      const { flowRun, taskRun } = await finished();
      const id = kind === 'flow run' ? flowRun.run.id : taskRun.run.id;
      const history = await (kind === 'flow run' ? store.flowRuns : store.taskRuns).history(id);
      const events = await store.events.listByRun(id, { limit: 100 });

      expect(history).toHaveLength(3);
      expect(events.map((event) => event.id)).toEqual(history.map((state) => state.id));
      expect(events.map((event) => event.occurred)).toEqual(history.map((state) => state.timestamp));
      expect(events.map((event) => event.follows)).toEqual([null, history[0]!.id, history[1]!.id]);
      const subject = kind === 'flow run' ? 'prefect.flow-run' : 'prefect.task-run';
      expect(events.map((event) => event.event)).toEqual(history.map((state) => `${subject}.${state.name}`));
      expect(events.map((event) => event.resourceId)).toEqual(history.map(() => `${subject}.${id}`));
    },
  );

  it('still has one when states are written twice', async () => {
    const flowRun = new FlowRunStory(flowId);
    const creation = flowRun.begin(pending());
    await insert(store, [creation]);
    await insert(store, [creation]);
    const moved = flowRun.enter(running());
    await move(store, [moved]);
    await move(store, [moved]);
    expect(await store.events.listByRun(flowRun.run.id, { limit: 100 })).toHaveLength(2);
  });

  it('has none for a move that was refused', async () => {
    const flowRun = new FlowRunStory(flowId);
    await create(store, flowRun, pending());
    const stale = new FlowRunStory(flowId, flowRun.created);
    stale.run = flowRun.run;
    await move(store, [flowRun.enter(completed())]);
    await move(store, [stale.enter(running())]);
    const events = await store.events.listByRun(flowRun.run.id, { limit: 100 });
    expect(events.map(({ event }) => event)).toEqual(['prefect.flow-run.Pending', 'prefect.flow-run.Completed']);
  });

  it('tells what a foreign client would: resource, related resources and payload', async () => {
    const { flowRun, taskRun } = await finished();
    const [, , failure] = await store.events.listByRun(taskRun.run.id, { limit: 100 });
    expect(failure).toMatchObject({
      event: 'prefect.task-run.Failed',
      resource: {
        'prefect.resource.id': `prefect.task-run.${taskRun.run.id}`,
        'prefect.resource.name': 'load-0',
        'prefect.run-count': '1',
        'prefect.state-message': 'Error: no',
        'prefect.state-name': 'Failed',
        'prefect.state-type': 'FAILED',
        'prefect.state-timestamp': formatInstant(taskRun.run.state!.timestamp).replace('Z', '+00:00'),
      },
      related: [{ 'prefect.resource.id': `prefect.flow-run.${flowRun.run.id}`, 'prefect.resource.role': 'flow-run' }],
      payload: { validated_state: { type: 'FAILED', name: 'Failed', message: 'Error: no' } },
    });
    const [first] = await store.events.listByRun(flowRun.run.id, { limit: 1 });
    expect(first).toMatchObject({
      resource: { 'prefect.resource.name': 'calm-otter', 'prefect.state-message': '' },
      related: [
        {
          'prefect.resource.id': `prefect.flow.${flowId}`,
          'prefect.resource.role': 'flow',
          'prefect.resource.name': 'etl',
        },
      ],
    });
  });

  it('of a task run outside any flow relates to nothing', async () => {
    const taskRun = new TaskRunStory(null);
    await save(store, [taskRun.enter(completed())]);
    expect(await store.events.listByRun(taskRun.run.id, { limit: 1 })).toMatchObject([{ related: [] }]);
  });

  it('shows stored events beside those that states are', async () => {
    const id = newId();
    const occurred = instantOfMs(Date.now());
    await store.dataSource.query(
      `insert into nestor.event (occurred, id, event, resource_id, resource, payload)
       values ($1, $2, 'order.shipped', 'order.7', '{"prefect.resource.id": "order.7"}', '{"size": 3}')`,
      [formatInstant(occurred), id],
    );
    const rows = await store.dataSource.query(
      `select id, occurred, event, resource_id, payload, run_id from nestor.event_feed where resource_id = 'order.7'`,
    );
    expect(rows).toEqual([
      { id, occurred, event: 'order.shipped', resource_id: 'order.7', payload: { size: 3 }, run_id: null },
    ]);
  });

  it('leaves out a state whose event a foreign client has stored itself, so that there is one of it', async () => {
    const taskRun = new TaskRunStory(null);
    await save(store, [taskRun.enter(completed())]);
    const { id, timestamp } = taskRun.run.state!;
    await store.dataSource.query(
      `insert into nestor.event (occurred, id, event, resource_id) values ($1, $2, 'prefect.task-run.Completed', $3)`,
      [formatInstant(timestamp), id, `prefect.task-run.${taskRun.run.id}`],
    );
    await store.dataSource.query('update nestor.task_run_state set event_stored = true where task_run_id = $1', [
      taskRun.run.id,
    ]);
    expect(await store.dataSource.query('select id from nestor.event_feed where id = $1', [id])).toEqual([{ id }]);
  });

  it('has as many events of states as there are states, over everything written here', async () => {
    const [counts] = await store.dataSource.query<{ states: number; events: number; distinct: number }[]>(
      `select (select count(*) from nestor.flow_run_state) +
              (select count(*) from nestor.task_run_history where not event_stored) as states,
              (select count(*) from nestor.event_feed where run_id is not null) as events,
              (select count(distinct id) from nestor.event_feed where run_id is not null) as distinct`,
    );
    expect(counts!.states).toBeGreaterThan(10);
    expect(counts).toEqual({ states: counts!.states, events: counts!.states, distinct: counts!.states });
  });
});

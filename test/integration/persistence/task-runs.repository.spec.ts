import { awaitingRetry, completed, failed, parseInstant, pending, running } from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { briefHistoryOf } from '../../../libs/orchestrator/src/records/task-runs/brief-history.js';
import { testDatabase } from '../../support/database.js';
import { save, TaskRunStory } from './support/runs.js';
import { openStore, type Store } from './support/store.js';

describe('the repository of task runs', () => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 10 });
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  const historyOf = async (story: TaskRunStory): Promise<string[]> =>
    (await store.taskRuns.history(story.run.id)).map(({ name }) => name);

  /** What a row says of the run as it stands. */
  const rowOf = ({ created: { inputs, ...created }, run }: TaskRunStory) => ({
    ...created,
    taskInputs: inputs ?? {},
    flowRunRunCount: run.flowRunRunCount,
    empiricalPolicy: run.policy,
    stateId: run.state?.id,
    stateType: run.state?.type,
    stateName: run.state?.name,
    stateTimestamp: run.state?.timestamp,
    runCount: run.runCount,
    expectedStartTime: run.expectedStartTime,
    nextScheduledStartTime: run.nextScheduledStartTime,
    startTime: run.startTime,
    endTime: run.endTime,
    totalRunTimeUs: run.totalRunTimeUs,
  });

  it('writes a run that began and ended between two flushes once, with every state', async () => {
    const story = new TaskRunStory(newId(), {
      parentTaskRunId: newId(),
      tags: ['a', 'b, {c}'],
      taskKey: 'Orders.ship',
    });
    const states = [pending(), running()].map((state) => story.enter(state).state);
    const last = story.enter(completed(), { result: '{"b":1, "a":2}' });
    await store.transactions.single((tx) =>
      store.taskRuns.save(tx, store.fence, [last.write], [...states, last.state]),
    );

    expect(await store.taskRuns.find(story.run.id)).toMatchObject({ ...rowOf(story), result: '{"b":1, "a":2}' });
    expect(await store.taskRuns.history(story.run.id)).toEqual([...states, last.state].map(({ state }) => state));
  });

  it('brings a run that was written before up to date', async () => {
    const story = new TaskRunStory(newId());
    const due = parseInstant('2026-11-22T04:55:48.123456Z');
    const steps = [
      pending(),
      running(),
      awaitingRetry({ scheduledTime: due, message: 'Error: no' }),
      running({ name: 'Retrying' }),
      failed({ message: 'Error: again' }),
    ];
    for (const step of steps) {
      await save(store, [story.enter(step)]);
      expect(await store.taskRuns.find(story.run.id)).toMatchObject(rowOf(story));
    }
    expect(await historyOf(story)).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Retrying', 'Failed']);
    expect((await store.taskRuns.history(story.run.id))[2]).toMatchObject({ details: { scheduledTime: due } });
  });

  it('writes the same twice as once', async () => {
    const story = new TaskRunStory(newId());
    const first = story.enter(running());
    const last = story.enter(completed(), { result: '1' });
    const write = () =>
      store.transactions.single((tx) => store.taskRuns.save(tx, store.fence, [last.write], [first.state, last.state]));
    await write();
    const { updated: _first, ...before } = (await store.taskRuns.find(story.run.id))!;
    await write();
    const { updated: _second, ...after } = (await store.taskRuns.find(story.run.id))!;
    expect(after).toEqual(before);
    expect(await historyOf(story)).toEqual(['Running', 'Completed']);
  });

  describe('of a run that succeeded at once', () => {
    /** Its three states, and the write whose row holds them. */
    const success = (flowRunId: string | null = newId()) => {
      const story = new TaskRunStory(flowRunId);
      const states = [pending(), running()].map((state) => story.enter(state).state);
      const { write, state } = story.enter(completed(), { result: '1' });
      const history = [...states, state];
      return {
        story,
        states: history.map((one) => one.state),
        write: { ...write, brief: briefHistoryOf(write, history) },
      };
    };
    const statesStored = async ({ run }: TaskRunStory): Promise<number> => {
      const [row] = await store.dataSource.query<{ count: number }[]>(
        'select count(*) as count from nestor.task_run_state where task_run_id = $1',
        [run.id],
      );
      return row!.count;
    };

    it.each([1, 3])('keeps the history in its row, and tells it as any other: %d at a time', async (count) => {
      const successes = Array.from({ length: count }, () => success());
      await store.transactions.single((tx) =>
        store.taskRuns.save(
          tx,
          store.fence,
          successes.map(({ write }) => write),
          [],
        ),
      );
      for (const { story, states } of successes) {
        expect(await store.taskRuns.find(story.run.id)).toMatchObject({ ...rowOf(story), result: '1' });
        expect(await store.taskRuns.history(story.run.id)).toEqual(states);
        expect(await store.taskRuns.loadAll([story.run.id])).toEqual([story.run]);
        expect(await statesStored(story)).toBe(0);
        const events = await store.events.listByRun(story.run.id, { limit: 10 });
        expect(events.map(({ id, event, follows }) => ({ id, event, follows }))).toEqual(
          states.map(({ id, name }, index) => ({
            ...{ id, event: `prefect.task-run.${name}` },
            follows: states[index - 1]?.id ?? null,
          })),
        );
      }
    });

    it.each([1, 2])('writes it twice as once: %d at a time', async (count) => {
      const successes = Array.from({ length: count }, () => success());
      const write = () =>
        store.transactions.single((tx) =>
          store.taskRuns.save(
            tx,
            store.fence,
            successes.map((one) => one.write),
            [],
          ),
        );
      await write();
      expect(await write()).toEqual([true]);
      for (const { story, states } of successes) {
        expect(await store.taskRuns.history(story.run.id)).toEqual(states);
        expect(await statesStored(story)).toBe(0);
      }
    });

    it('writes the history out when somebody moves the run on', async () => {
      const { story, states, write } = success();
      await store.transactions.single((tx) => store.taskRuns.save(tx, store.fence, [write], []));
      const next = story.enter(failed({ message: 'Error: on second thoughts' }));
      await save(store, [next]);
      expect(await store.taskRuns.history(story.run.id)).toEqual([...states, next.state.state]);
      expect(await store.taskRuns.find(story.run.id)).toMatchObject({ ...rowOf(story), pendingStateId: null });
      expect(await statesStored(story)).toBe(4);
    });

    it('leaves it there when something else about the run changes', async () => {
      const { story, states, write } = success();
      await store.transactions.single((tx) => store.taskRuns.save(tx, store.fence, [write], []));
      await store.transactions.single((tx) => store.taskRuns.supersede(tx, story.created.flowRunId!, story.run.id));
      expect(await store.taskRuns.history(story.run.id)).toEqual(states);
      expect(await statesStored(story)).toBe(0);
    });

    it.each<[string, (story: TaskRunStory) => ReturnType<TaskRunStory['enter']>[]]>([
      ['that failed', (story) => [pending(), running(), failed()].map((state) => story.enter(state))],
      [
        'that was cached',
        (story) => [pending(), running(), completed({ name: 'Cached' })].map((state) => story.enter(state)),
      ],
      [
        'that has something to say',
        (story) => [pending(), running({ message: 'So' }), completed()].map((s) => story.enter(s)),
      ],
      [
        'that began again',
        (story) => [pending(), running(), running(), completed()].map((state) => story.enter(state)),
      ],
      [
        'of which a part is written already',
        (story) => [pending(), running(), completed()].map((s) => story.enter(s)).slice(1),
      ],
    ])('no other run has a brief history: not one %s', (_, live) => {
      const steps = live(new TaskRunStory(newId()));
      expect(
        briefHistoryOf(
          steps.at(-1)!.write,
          steps.map(({ state }) => state),
        ),
      ).toBeNull();
    });
  });

  it('writes new and known runs in one batch', async () => {
    const known = new TaskRunStory(null);
    await save(store, [known.enter(running())]);
    const fresh = Array.from({ length: 500 }, () => new TaskRunStory(null));
    await save(store, [known.enter(completed()), ...fresh.map((story) => story.enter(completed()))]);
    for (const story of [known, ...fresh.slice(0, 5)]) {
      expect(await store.taskRuns.find(story.run.id)).toMatchObject({ stateType: 'COMPLETED' });
    }
  });

  it('writes nothing without complaint', async () => {
    await save(store, []);
  });

  it('keeps what a run was created with, whatever a later write says', async () => {
    const story = new TaskRunStory(newId());
    await save(store, [story.enter(running())]);
    const changed = { ...story.created, taskKey: 'Other.task', dynamicKey: 'other-0', flowRunId: newId() };
    const { write, state } = story.enter(completed());
    await store.transactions.single((tx) =>
      store.taskRuns.save(tx, store.fence, [{ ...write, created: changed }], [state]),
    );
    expect(await store.taskRuns.find(story.run.id)).toMatchObject({
      taskKey: story.created.taskKey,
      dynamicKey: story.created.dynamicKey,
      flowRunId: story.created.flowRunId,
    });
  });

  it('never waits crosswise: batches of the same runs in opposite order', async () => {
    const stories = Array.from({ length: 40 }, () => new TaskRunStory(null));
    for (let round = 0; round < 30; round += 1) {
      const writes = stories.map((story) => story.enter(running()));
      // Every other round the runs are new to the database.
      if (round % 2) stories.splice(0, 40, ...Array.from({ length: 40 }, () => new TaskRunStory(null)));
      await Promise.all([save(store, writes), save(store, [...writes].reverse()), save(store, writes)]);
    }
  });

  it('lists the runs of a flow run in the order in which they were called, by pages', async () => {
    const flowRunId = newId();
    const stories = Array.from({ length: 5 }, () => new TaskRunStory(flowRunId));
    await save(
      store,
      [...stories].reverse().map((story) => story.enter(completed())),
    );
    await save(store, [new TaskRunStory(newId()).enter(completed())]);
    const ids = stories.map(({ run }) => run.id);
    const page = async (after?: string) =>
      (await store.taskRuns.list(flowRunId, { limit: 2, ...(after !== undefined && { after }) })).map(({ id }) => id);
    expect(await page()).toEqual(ids.slice(0, 2));
    expect(await page(ids[1])).toEqual(ids.slice(2, 4));
    expect(await page(ids[3])).toEqual(ids.slice(4));
    expect(await page(ids[4])).toEqual([]);
  });

  it('finds nothing where there is nothing', async () => {
    expect(await store.taskRuns.find(newId())).toBeNull();
    expect(await store.taskRuns.history(newId())).toEqual([]);
  });
});

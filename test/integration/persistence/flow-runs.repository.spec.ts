import {
  awaitingRetry,
  cancelled,
  cancelling,
  completed,
  failed,
  instantOfMs,
  parseInstant,
  pending,
  running,
  scheduled,
} from '@nestor/core';
import type { TestDatabase } from '@nestor/testing';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { testDatabase } from '../../support/database.js';
import { create, flowNamed, FlowRunStory, insert, move } from './support/runs.js';
import { openStore, type Store } from './support/store.js';

describe('the repository of flow runs', () => {
  let database: TestDatabase;
  let store: Store;
  let flowId: string;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 10 });
    flowId = await flowNamed(store, 'etl');
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  const historyOf = async (story: FlowRunStory): Promise<string[]> =>
    (await store.flowRuns.history(story.run.id)).map(({ name }) => name);
  const started = async (): Promise<FlowRunStory> => {
    const story = new FlowRunStory(flowId);
    await create(store, story, pending());
    return story;
  };

  describe('inserts', () => {
    it('runs with everything they were created with', async () => {
      const story = new FlowRunStory(flowId, {
        app: 'shop',
        rootFlowRunId: newId(),
        parentTaskRunId: newId(),
        name: 'swift-heron',
        parameters: '{"b":1,"a":{"$nestor":"bigint","value":"2"}}',
        tags: ['nightly', 'it’s “quoted”, {braced}'],
        buildId: 'abc123',
        encodingVersion: 3,
      });
      await create(store, story, scheduled({ scheduledTime: parseInstant('2030-01-01T00:00:00.000001Z') }));

      const { isLeased: _, ...createdRow } = story.created;
      expect(await store.flowRuns.find(story.run.id)).toMatchObject({
        ...createdRow,
        processId: null,
        leaseEpoch: 0,
        flowId,
        stateType: 'SCHEDULED',
        stateName: 'Scheduled',
        stateId: story.run.state?.id,
        stateTimestamp: story.run.state?.timestamp,
        expectedStartTime: parseInstant('2030-01-01T00:00:00.000001Z'),
        nextScheduledStartTime: parseInstant('2030-01-01T00:00:00.000001Z'),
        runCount: 0,
        startTime: null,
        endTime: null,
        totalRunTimeUs: 0,
        result: null,
      });
    });

    it('many at once', async () => {
      const stories = Array.from({ length: 500 }, () => new FlowRunStory(flowId));
      await insert(
        store,
        stories.map((story) => story.begin(pending())),
      );
      const loaded = await Promise.all(stories.slice(0, 20).map(({ run }) => store.flowRuns.load(run.id)));
      expect(loaded).toEqual(stories.slice(0, 20).map(({ run }) => run));
    });

    it('none without complaint', async () => {
      await insert(store, []);
    });

    it('the same run twice as one, which is not what the second time says but the first', async () => {
      const story = new FlowRunStory(flowId);
      const creation = story.begin(pending({ message: 'as created' }));
      expect(await insert(store, [creation])).toEqual([true]);
      const before = await store.flowRuns.find(story.run.id);

      expect(await insert(store, [creation])).toEqual([true]);
      expect(await store.flowRuns.find(story.run.id)).toEqual(before);
      expect(await historyOf(story)).toEqual(['Pending']);
    });

    it('the same runs in batches of opposite order without waiting crosswise', async () => {
      for (let round = 0; round < 20; round += 1) {
        const batch = Array.from({ length: 40 }, () => new FlowRunStory(flowId).begin(pending()));
        await Promise.all([insert(store, batch), insert(store, [...batch].reverse()), insert(store, batch)]);
      }
    });

    it('a run that has moved on meanwhile without setting it back', async () => {
      const story = new FlowRunStory(flowId);
      const creation = story.begin(pending());
      await insert(store, [creation]);
      await move(store, [story.enter(running())]);

      await insert(store, [creation]);
      expect(await store.flowRuns.load(story.run.id)).toEqual(story.run);
    });
  });

  describe('moves', () => {
    it('a run through its states, each with all that follows from it', async () => {
      const story = await started();
      const due = parseInstant('2026-11-22T04:55:48.123456Z');
      const steps = [
        running(),
        awaitingRetry({ scheduledTime: due, message: 'Error: no' }),
        running({ name: 'Retrying', details: { transitionId: 't' } }),
        failed({ message: 'Error: again', details: { retriable: false } }),
      ];
      for (const step of steps) {
        expect(await move(store, [story.enter(step)])).toEqual(new Set([story.run.id]));
        expect(await store.flowRuns.load(story.run.id)).toEqual(story.run);
      }
      expect(await historyOf(story)).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Retrying', 'Failed']);
      const history = await store.flowRuns.history(story.run.id);
      expect(history[2]).toMatchObject({ message: 'Error: no', details: { scheduledTime: due } });
      expect(history[4]).toEqual(story.run.state);
    });

    it('keep the changed policy, and the outcome to the letter', async () => {
      const story = await started();
      story.run = { ...story.run, policy: { ...story.run.policy, retryType: 'in_process', pauseKeys: ['a'] } };
      await move(store, [story.enter(completed(), { result: '{"b":1, "a":[1.0]}' })]);
      expect(await store.flowRuns.find(story.run.id)).toMatchObject({
        result: '{"b":1, "a":[1.0]}',
        empiricalPolicy: story.run.policy,
      });
    });

    it('several states of one run at once', async () => {
      const story = await started();
      const first = story.enter(running());
      const last = story.enter(completed());
      const folded = { ...last.move, expectedStateId: first.move.expectedStateId };
      const { held, moved } = await store.transactions.single((tx) =>
        store.flowRuns.move(tx, store.fence, [folded], [first.state, last.state]),
      );
      expect(held).toEqual([true]);
      expect(moved).toEqual(new Set([story.run.id]));
      expect(await historyOf(story)).toEqual(['Pending', 'Running', 'Completed']);
    });

    it('the same move twice as one: both count as made', async () => {
      const story = await started();
      const made = story.enter(running());
      expect(await move(store, [made])).toEqual(new Set([story.run.id]));
      expect(await move(store, [made])).toEqual(new Set([story.run.id]));
      expect(await store.flowRuns.load(story.run.id)).toEqual(story.run);
      expect(await historyOf(story)).toEqual(['Pending', 'Running']);
    });

    it('not a run that somebody else has changed, and write nothing of it', async () => {
      const story = await started();
      const ours = new FlowRunStory(flowId, story.created);
      ours.run = story.run;
      await move(store, [story.enter(cancelling())]);

      expect(await move(store, [ours.enter(running())])).toEqual(new Set());
      expect(await store.flowRuns.load(story.run.id)).toEqual(story.run);
      expect(await historyOf(story)).toEqual(['Pending', 'Cancelling']);
    });

    it('not a run that is not there', async () => {
      const story = new FlowRunStory(flowId);
      story.enter(pending());
      expect(await move(store, [story.enter(running())])).toEqual(new Set());
      expect(await store.flowRuns.history(story.run.id)).toEqual([]);
    });

    it('not with a move that came too late twice over: repeated after a further one it is refused', async () => {
      const story = await started();
      const made = story.enter(running());
      await move(store, [made]);
      await move(store, [story.enter(completed())]);
      expect(await move(store, [made])).toEqual(new Set());
      expect(await historyOf(story)).toEqual(['Pending', 'Running', 'Completed']);
    });

    it('leave the rest of the batch alone when one is refused', async () => {
      const stories = await Promise.all(Array.from({ length: 10 }, started));
      const stale = new FlowRunStory(flowId, stories[4]!.created);
      stale.run = stories[4]!.run;
      await move(store, [stories[4]!.enter(cancelling())]);

      const batch = stories.map((story, index) => (index === 4 ? stale : story).enter(running()));
      const others = stories.filter((_, index) => index !== 4).map(({ run }) => run.id);
      expect(await move(store, batch)).toEqual(new Set(others));
      const types = await Promise.all(stories.map(async ({ run }) => (await store.flowRuns.load(run.id))?.state?.type));
      expect(types).toEqual(stories.map((_, index) => (index === 4 ? 'CANCELLING' : 'RUNNING')));
    });

    it('none without complaint', async () => {
      expect(await move(store, [])).toEqual(new Set());
    });

    it('decide on the row as it is once the lock is theirs: of many who want it, one gets it [O06]', async () => {
      for (let round = 0; round < 20; round += 1) {
        const story = await started();
        const rivals = Array.from({ length: 6 }, () => {
          const rival = new FlowRunStory(flowId, story.created);
          rival.run = story.run;
          return rival;
        });
        const outcomes = await Promise.all(rivals.map((rival) => move(store, [rival.enter(running())])));
        const winners = rivals.filter((_, index) => outcomes[index]!.size === 1);
        expect(winners).toHaveLength(1);
        expect(await store.flowRuns.load(story.run.id)).toEqual(winners[0]!.run);
        expect(await historyOf(story)).toEqual(['Pending', 'Running']);
      }
    });

    it('never wait for each other crosswise: batches of the same runs in opposite order', async () => {
      const stories = await Promise.all(Array.from({ length: 20 }, started));
      const refusals: number[] = [];
      for (let round = 0; round < 30; round += 1) {
        const batches = [stories, [...stories].reverse(), [...stories].sort(() => (round % 2 ? 1 : -1))].map((order) =>
          order.map((story) => {
            const rival = new FlowRunStory(flowId, story.created);
            rival.run = story.run;
            return rival;
          }),
        );
        const outcomes = await Promise.all(
          batches.map((batch) =>
            move(
              store,
              batch.map((rival) => rival.enter(round % 2 ? running() : pending())),
            ),
          ),
        );
        refusals.push(outcomes.filter(({ size }) => size === 0).length);
        for (const story of stories) story.run = (await store.flowRuns.load(story.run.id))!;
      }
      // Every round one batch moved everything and the others nothing: rows are locked in the same order by all.
      expect(refusals).toEqual(Array.from({ length: 30 }, () => 2));
    });
  });

  describe('finds', () => {
    it('nothing where there is nothing', async () => {
      expect(await store.flowRuns.find(newId())).toBeNull();
      expect(await store.flowRuns.load(newId())).toBeNull();
      expect(await store.flowRuns.history(newId())).toEqual([]);
    });

    it('a run that has no state yet', async () => {
      const story = new FlowRunStory(flowId);
      const row = { created: story.created, run: story.run, claim: 1 };
      await store.transactions.single((tx) => store.flowRuns.insert(tx, store.fence, [row], []));
      expect(await store.flowRuns.load(story.run.id)).toEqual(story.run);
    });

    it('pages of runs, newest first, of a flow, in certain states', async () => {
      const ownFlow = await flowNamed(store, 'paged');
      const stories: FlowRunStory[] = [];
      for (const state of [pending(), running(), completed(), running(), cancelled()]) {
        const story = new FlowRunStory(ownFlow);
        await create(store, story, state);
        stories.push(story);
      }
      const ids = stories.map(({ run }) => run.id).reverse();
      const page = async (filter: object) =>
        (await store.flowRuns.list({ limit: 2, flowId: ownFlow, ...filter })).map(({ id }) => id);

      expect(await page({})).toEqual(ids.slice(0, 2));
      expect(await page({ before: ids[1] })).toEqual(ids.slice(2, 4));
      expect(await page({ before: ids[3] })).toEqual(ids.slice(4));
      expect(await page({ before: ids[4] })).toEqual([]);
      expect(await page({ stateTypes: ['RUNNING'] })).toEqual([ids[1], ids[3]]);
      expect(await page({ stateTypes: ['COMPLETED', 'CANCELLED'] })).toEqual([ids[0], ids[2]]);
      expect(await page({ stateTypes: [] })).toEqual([]);
    });
  });

  it('writes nothing when the transaction around it fails', async () => {
    const story = new FlowRunStory(flowId);
    const { row, state } = story.begin(pending());
    const failure = new Error('after the write');
    const work = store.transactions.run(async (tx) => {
      await store.flowRuns.insert(tx, store.fence, [row], [state]);
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await store.flowRuns.find(story.run.id)).toBeNull();
    expect(await store.flowRuns.history(story.run.id)).toEqual([]);
  });

  it('refuses a state of a type there is not', async () => {
    const story = new FlowRunStory(flowId);
    const creation = story.begin({ ...pending(), type: 'DREAMING' as never }, { at: instantOfMs(Date.now()) });
    await expect(insert(store, [creation])).rejects.toMatchObject({
      code: '23514',
      constraint: expect.stringMatching(/_state_type_check$/),
    });
  });
});

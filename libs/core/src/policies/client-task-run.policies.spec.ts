import { STATE_TYPES, StateType, type State } from '../states/state.js';
import { completed, failed, pending, running, scheduled } from '../states/states.js';
import { instantOfMs } from '../time/instant.js';
import { decide } from '../transitions/decide.js';
import type { Facts } from '../transitions/facts.js';
import type { TaskRun } from '../transitions/run.js';
import { backgroundTaskRunPolicy } from './background-task-run.policy.js';
import { clientSideTaskRunPolicy, coreTaskRunPolicy } from './core-task-run.policy.js';
import { forcedTaskRunPolicy } from './forced-task-run.policy.js';

const now = instantOfMs(1_800_000_000_000);
const cachedState = completed({ data: { persisted: true, value: 'outcome' }, details: { cacheKey: 'k' } });
const stopped: Facts = { flowRun: { state: { type: StateType.Failed, details: {} }, runCount: 1 } };

function runIn(state: Partial<State> | null, over: Partial<TaskRun> = {}): TaskRun {
  return {
    state: state && { name: state.type, details: {}, ...state },
    runCount: 0,
    flowRunId: 'f',
    flowRunRunCount: 0,
    policy: { retries: 0, retryDelaysMs: [] },
    ...over,
  } as TaskRun;
}

describe('coreTaskRunPolicy', () => {
  it('ends a run with what is remembered, even when its flow run has stopped [O17]', () => {
    const transition = { run: runIn({ type: 'PENDING' }), proposed: running({ details: { cacheKey: 'k' } }), now };
    expect(decide(coreTaskRunPolicy, transition, { ...stopped, cachedState })).toMatchObject({
      kind: 'reject',
      state: { name: 'Cached' },
      effects: [],
    });
    expect(decide(coreTaskRunPolicy, transition, { ...stopped, cachedState: null }).kind).toBe('abort');
  });

  it('takes no slot for a run that has to wait for its time [O26]', () => {
    const state = { type: StateType.Scheduled, details: { scheduledTime: instantOfMs(1_900_000_000_000) } };
    const facts: Facts = {
      flowRun: { state: { type: StateType.Running, details: {} }, runCount: 1 },
      tagLimits: [{ tag: 'a', limit: 1, slotFree: true }],
      random: 0,
    };
    const verdict = decide(coreTaskRunPolicy, { run: runIn(state, { tags: ['a'] }), proposed: running(), now }, facts);
    expect(verdict.kind).toBe('wait');
  });

  it('lets go of the slots of a failed run that waits for its retry', () => {
    const run = runIn({ type: 'RUNNING' }, { runCount: 1, tags: ['a'], policy: { retries: 1, retryDelaysMs: [] } });
    expect(decide(coreTaskRunPolicy, { run, proposed: failed(), now }, {})).toMatchObject({
      state: { name: 'AwaitingRetry' },
      effects: [{ kind: 'release-tag-slots' }],
    });
  });
});

describe('clientSideTaskRunPolicy', () => {
  it('is the same without slots, which the client takes', () => {
    const names = (policy: readonly { name: string }[]) => policy.map(({ name }) => name);
    expect(names(clientSideTaskRunPolicy)).toEqual(
      names(coreTaskRunPolicy).filter((name) => name !== 'secure-tag-slots'),
    );
  });
});

describe('backgroundTaskRunPolicy', () => {
  it('gives a task to one of those who serve it', () => {
    const claim = (run: TaskRun) => decide(backgroundTaskRunPolicy, { run, proposed: pending(), now }, {}).kind;
    expect(claim(runIn({ type: 'SCHEDULED' }))).toBe('accept');
    expect(claim(runIn({ type: 'PENDING', name: 'Pending' }))).toBe('abort');
  });

  it('queues what is scheduled, also as a retry in the place of a failure', () => {
    const details = { deferred: true, taskParametersId: 'p' };
    const first = scheduled({ scheduledTime: now, details });
    expect(decide(backgroundTaskRunPolicy, { run: runIn(null), proposed: first, now }, {})).toMatchObject({
      effects: [{ kind: 'enqueue-task', queue: 'scheduled' }],
    });
    const failing = runIn({ type: 'RUNNING', details }, { runCount: 1, policy: { retries: 1, retryDelaysMs: [] } });
    expect(decide(backgroundTaskRunPolicy, { run: failing, proposed: failed(), now }, {})).toMatchObject({
      state: { name: 'AwaitingRetry', details },
      effects: [{ kind: 'enqueue-task', queue: 'retry' }],
    });
  });
});

describe('forcedTaskRunPolicy', () => {
  it('accepts everything, and lets go of slots', () => {
    const kinds = [null, ...STATE_TYPES].flatMap((from) =>
      STATE_TYPES.map((to) => {
        const proposed = { type: to, name: to, message: null, details: {} };
        return decide(forcedTaskRunPolicy, { run: runIn(from && { type: from }), proposed, now }, {}).kind;
      }),
    );
    expect(new Set(kinds)).toEqual(new Set(['accept']));
    const run = runIn({ type: 'RUNNING' }, { tags: ['a'] });
    expect(decide(forcedTaskRunPolicy, { run, proposed: completed(), now }, {})).toMatchObject({
      effects: [{ kind: 'release-tag-slots' }],
    });
  });
});

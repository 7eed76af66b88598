import { StateType, type StateDetails } from '../../states/state.js';
import { failed } from '../../states/states.js';
import { addMs, instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts } from '../../transitions/facts.js';
import type { RetryPolicy, TaskRun } from '../../transitions/run.js';
import { rescheduleFailedTaskRun } from './reschedule-failed-task-run.rule.js';

const now = instantOfMs(1_800_000_000_000);

function verdictOf(
  runCount: number,
  policy: Partial<RetryPolicy>,
  proposed = failed(),
  facts: Facts = {},
  details: StateDetails = {},
) {
  const run = {
    state: { type: StateType.Running, details },
    runCount,
    policy: { retries: 0, retryDelaysMs: [], ...policy },
  } as unknown as TaskRun;
  return decide([rescheduleFailedTaskRun], { run, proposed, now }, facts);
}

describe('reschedule-failed-task-run', () => {
  it.each([
    [1, 0, 'accept'],
    [1, 1, 'reject'],
    [2, 1, 'accept'],
    [3, 3, 'reject'],
    [4, 3, 'accept'],
  ])('attempt %i fails, %i retries: %s', (runCount, retries, kind) => {
    expect(verdictOf(runCount, { retries }).kind).toBe(kind);
  });

  it.each([
    ['at once', 1, [], 0],
    ['after its delay', 2, [100, 200], 200],
    ['after the last delay', 5, [100, 200], 200],
  ])('schedules the retry %s [O10]', (_, runCount, retryDelaysMs, delayMs) => {
    expect(verdictOf(runCount, { retries: 9, retryDelaysMs })).toMatchObject({
      state: { type: 'SCHEDULED', name: 'AwaitingRetry', details: { scheduledTime: addMs(now, delayMs) } },
    });
  });

  it('spreads the delays of runs that failed together [O10]', () => {
    const policy = { retries: 1, retryDelaysMs: [1_000], retryJitter: 0.5 };
    expect(verdictOf(1, policy)).toEqual({ kind: 'needs-facts', names: ['random'] });
    expect(verdictOf(1, policy, failed(), { random: 0 })).toMatchObject({
      state: { details: { scheduledTime: addMs(now, 500) } },
    });
  });

  it('lets a failure stand that no retry would mend', () => {
    expect(verdictOf(1, { retries: 5 }, failed({ details: { retriable: false } })).kind).toBe('accept');
  });

  it('hands on the message, the data, and where a background task finds its parameters', () => {
    const data = { persisted: true, value: 'error' };
    const details = { deferred: true, taskParametersId: 'p' };
    expect(verdictOf(1, { retries: 1 }, failed({ message: 'Error: no', data }), {}, details)).toMatchObject({
      state: { message: 'Error: no', data, details },
    });
  });
});

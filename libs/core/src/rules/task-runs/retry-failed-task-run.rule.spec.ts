import { STATE_TYPES, StateType } from '../../states/state.js';
import { failed } from '../../states/states.js';
import { addMs, instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { RetryPolicy, TaskRun } from '../../transitions/run.js';
import { retryFailedTaskRun } from './retry-failed-task-run.rule.js';

const now = instantOfMs(1_800_000_000_000);

function running(runCount: number, policy: Partial<RetryPolicy>): TaskRun {
  return {
    state: { type: StateType.Running, details: {} },
    runCount,
    policy: { retries: 0, retryDelaysMs: [], ...policy },
  } as unknown as TaskRun;
}

const verdictOf = (run: TaskRun, proposed = failed({ message: 'Error: no' })) =>
  decide([retryFailedTaskRun], { run, proposed, now }, {});

describe('retry-failed-task-run', () => {
  it.each([
    ['attempt 1 of 1', 1, 0, 'accept'],
    ['attempt 1 of 2', 1, 1, 'reject'],
    ['attempt 2 of 2', 2, 1, 'accept'],
    ['attempt 3 of 4', 3, 3, 'reject'],
    ['attempt 4 of 4', 4, 3, 'accept'],
  ])('%s fails (run count %i, %i retries): %s', (_, runCount, retries, kind) => {
    expect(verdictOf(running(runCount, { retries })).kind).toBe(kind);
  });

  it('retries at once when there is no delay', () => {
    expect(verdictOf(running(1, { retries: 1 }))).toMatchObject({
      kind: 'reject',
      state: { type: 'RUNNING', name: 'Retrying', message: 'Error: no', details: {} },
      reason: 'Retries remain.',
      policy: {},
    });
  });

  it('retries later when there is one', () => {
    expect(verdictOf(running(1, { retries: 1, retryDelaysMs: [250] }))).toMatchObject({
      kind: 'reject',
      state: {
        type: 'SCHEDULED',
        name: 'AwaitingRetry',
        message: 'Error: no',
        details: { scheduledTime: addMs(now, 250) },
      },
    });
  });

  it('takes each delay in its turn, and the last one from then on', () => {
    const policy = { retries: 9, retryDelaysMs: [0, 100, 200] };
    const waits = [1, 2, 3, 4].map((runCount) => {
      const verdict = verdictOf(running(runCount, policy));
      return verdict.kind === 'reject' && verdict.state?.details.scheduledTime;
    });
    expect(waits).toEqual([undefined, addMs(now, 100), addMs(now, 200), addMs(now, 200)]);
  });

  it('draws a lot for the pause only when it is to be spread', () => {
    const run = running(1, { retries: 1, retryDelaysMs: [1_000], retryJitter: 0.5 });
    expect(verdictOf(run)).toEqual({ kind: 'needs-facts', names: ['random'] });
    expect(decide([retryFailedTaskRun], { run, proposed: failed(), now }, { random: 0 })).toMatchObject({
      state: { details: { scheduledTime: addMs(now, 500) } },
    });
  });

  it('lets a failure stand that no retry would mend', () => {
    const proposed = failed({ details: { retriable: false } });
    expect(verdictOf(running(1, { retries: 5 }), proposed)).toMatchObject({ kind: 'accept', state: proposed });
  });

  it('retries a failure that says a retry may mend it', () => {
    expect(verdictOf(running(1, { retries: 5 }), failed({ details: { retriable: true } })).kind).toBe('reject');
  });

  it('looks at RUNNING → FAILED only', () => {
    const moves = [null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const));
    const altered = moves.filter(([from, to]) => {
      const run = { ...running(1, { retries: 1 }), state: from && { type: from, details: {} } } as TaskRun;
      return verdictOf(run, { type: to, name: to, message: null, details: {} }).kind !== 'accept';
    });
    expect(altered).toEqual([['RUNNING', 'FAILED']]);
  });
});

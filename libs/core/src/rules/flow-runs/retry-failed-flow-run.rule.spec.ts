import { failed, timedOut } from '../../states/states.js';
import { STATE_TYPES, StateType } from '../../states/state.js';
import { addMs, instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun, FlowRunPolicy } from '../../transitions/run.js';
import { retryFailedFlowRun } from './retry-failed-flow-run.rule.js';

const now = instantOfMs(1_800_000_000_000);

function running(runCount: number, policy: Partial<FlowRunPolicy>): FlowRun {
  return {
    state: { type: StateType.Running, details: {} },
    runCount,
    policy: { retries: 0, retryDelaysMs: [], resuming: true, pauseKeys: ['a'], retryType: null, ...policy },
  } as unknown as FlowRun;
}

const verdictOf = (run: FlowRun, proposed = failed({ message: 'Error: no' })) =>
  decide([retryFailedFlowRun], { run, proposed, now }, {});

describe('retry-failed-flow-run', () => {
  it.each([
    ['attempt 1 of 1', 1, 0, 'accept'],
    ['attempt 1 of 2', 1, 1, 'reject'],
    ['attempt 2 of 2', 2, 1, 'accept'],
    ['attempt 3 of 4', 3, 3, 'reject'],
    ['attempt 4 of 4', 4, 3, 'accept'],
    ['attempt 9 of 4, after reruns', 9, 3, 'accept'],
  ])('%s fails (run count %i, %i retries): %s', (_, runCount, retries, kind) => {
    expect(verdictOf(running(runCount, { retries })).kind).toBe(kind);
  });

  it.each([
    ['no delays', 1, [], 0],
    ['one delay, first retry', 1, [1_000], 1_000],
    ['one delay, third retry', 3, [1_000], 1_000],
    ['a list, first retry', 1, [1_000, 5_000], 1_000],
    ['a list, second retry', 2, [1_000, 5_000], 5_000],
    ['a list that is used up', 7, [1_000, 5_000], 5_000],
    ['a fraction of a millisecond', 1, [0.5], 0.5],
  ])('%s: retry after attempt %i with delays %j waits %d ms', (_, runCount, retryDelaysMs, delayMs) => {
    expect(verdictOf(running(runCount, { retries: 10, retryDelaysMs }))).toMatchObject({
      state: { details: { scheduledTime: addMs(now, delayMs) } },
    });
  });

  it('puts a scheduled retry with the message of the failure in the place of the failure [O09]', () => {
    expect(verdictOf(running(1, { retries: 1, retryDelaysMs: [100] }))).toMatchObject({
      kind: 'reject',
      state: {
        type: 'SCHEDULED',
        name: 'AwaitingRetry',
        message: 'Error: no',
        details: { scheduledTime: addMs(now, 100) },
      },
      reason: 'Retries remain.',
      policy: { resuming: false, pauseKeys: [], retryType: 'in_process' },
    });
  });

  it('retries a run that timed out as well', () => {
    expect(verdictOf(running(1, { retries: 1 }), timedOut())).toMatchObject({ state: { name: 'AwaitingRetry' } });
  });

  it('lets the last failure stand and forgets how the run was retried', () => {
    const last = running(2, { retries: 1, retryType: 'in_process' });
    expect(verdictOf(last)).toMatchObject({
      kind: 'accept',
      state: failed({ message: 'Error: no' }),
      policy: { retryType: null },
    });
  });

  it('draws a lot for the pause only when it is to be spread', () => {
    const run = running(1, { retries: 1, retryDelaysMs: [1_000], retryJitter: 0.5 });
    const proposed = failed();
    expect(verdictOf(run)).toEqual({ kind: 'needs-facts', names: ['random'] });
    expect(decide([retryFailedFlowRun], { run, proposed, now }, { random: 0 })).toMatchObject({
      state: { details: { scheduledTime: addMs(now, 500) } },
    });
  });

  it.each([
    ['whose author decides what is tried again', true, false, 'accept'],
    ['whose author decides, a failure worth another try', true, true, 'reject'],
    ['whose client marks every failure', undefined, false, 'reject'],
  ])('of a run %s (%s), with retriable: %s: %s', (_, retryConditionally, retriable, kind) => {
    const policy = { retries: 1, ...(retryConditionally && { retryConditionally }) };
    expect(verdictOf(running(1, policy), failed({ details: { retriable } })).kind).toBe(kind);
  });

  it('hands on what the failure carries', () => {
    const data = { persisted: true, value: 'error' };
    expect(verdictOf(running(1, { retries: 1 }), failed({ data }))).toMatchObject({ state: { data } });
  });

  it('looks at RUNNING → FAILED only', () => {
    const moves = [null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const));
    const altered = moves.filter(([from, to]) => {
      const run = { ...running(1, { retries: 1 }), state: from && { type: from, details: {} } } as FlowRun;
      return verdictOf(run, { type: to, name: to, message: null, details: {} }).kind !== 'accept';
    });
    expect(altered).toEqual([['RUNNING', 'FAILED']]);
  });
});

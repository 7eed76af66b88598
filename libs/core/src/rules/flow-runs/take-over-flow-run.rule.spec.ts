import { STATE_TYPES, StateType } from '../../states/state.js';
import { awaitingResume, awaitingRetry, scheduled } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun, FlowRunPolicy } from '../../transitions/run.js';
import { takeOverFlowRun } from './take-over-flow-run.rule.js';

const scheduledTime = instantOfMs(0);

function policyAfter(
  from: StateType | null,
  retryType: FlowRunPolicy['retryType'] = null,
  proposed = awaitingResume({ scheduledTime }),
) {
  const run = { state: from && { type: from, details: {} }, policy: { retryType } } as FlowRun;
  const verdict = decide([takeOverFlowRun], { run, proposed, now: scheduledTime }, {});
  return verdict.kind === 'accept' && verdict.policy;
}

describe('take-over-flow-run', () => {
  it('goes on with the attempt a RUNNING run was in', () => {
    expect(policyAfter(StateType.Running)).toEqual({ resuming: true });
  });

  it.each(STATE_TYPES.filter((type) => type !== StateType.Running))('begins the next attempt of a %s run', (from) => {
    expect(policyAfter(from)).toEqual({});
  });

  it('leaves a retry that the dead process was to wait for to whoever claims the run', () => {
    expect(policyAfter(StateType.Scheduled, 'in_process')).toEqual({ retryType: 'reschedule' });
    expect(policyAfter(StateType.Running, 'in_process')).toEqual({ resuming: true, retryType: 'reschedule' });
  });

  it('lets a run that was paused come past that pause again, and past no other', () => {
    const run = {
      state: { type: StateType.Paused, details: { pauseKey: 'second' } },
      policy: { retryType: null, pauseKeys: ['first', 'second'] },
    } as unknown as FlowRun;
    const proposed = awaitingResume({ scheduledTime });
    expect(decide([takeOverFlowRun], { run, proposed, now: scheduledTime }, {})).toMatchObject({
      kind: 'accept',
      policy: { pauseKeys: ['first'] },
    });
  });

  describe('of a run whose process died', () => {
    const afterDeath = (recoveries: number, maxRecoveries: number) => {
      const run = {
        state: { type: StateType.Running, details: {} },
        policy: { recoveries, maxRecoveries, retryType: null },
      } as unknown as FlowRun;
      const proposed = awaitingResume({ scheduledTime, details: { interrupted: true } });
      return decide([takeOverFlowRun], { run, proposed, now: scheduledTime }, {});
    };

    it.each([
      [0, 10, 1],
      [9, 10, 10],
    ])('counts: %i recoveries of %i become %i', (recoveries, max, expected) => {
      expect(afterDeath(recoveries, max)).toMatchObject({
        kind: 'accept',
        policy: { resuming: true, recoveries: expected },
      });
    });

    it.each([
      [10, 10],
      [0, 0],
    ])('gives up after %i recoveries of %i', (recoveries, max) => {
      expect(afterDeath(recoveries, max)).toMatchObject({
        kind: 'reject',
        state: { type: StateType.Crashed, message: expect.stringContaining('TOO_MANY_RECOVERIES') as string },
        policy: { recoveries: recoveries + 1 },
      });
    });
  });

  it('counts as well where a retry was to begin, which stays one', () => {
    const run = {
      state: { type: StateType.Scheduled, details: {} },
      policy: { recoveries: 2, maxRecoveries: 3, retryType: 'in_process' },
    } as unknown as FlowRun;
    const proposed = awaitingRetry({ scheduledTime, details: { interrupted: true } });
    expect(decide([takeOverFlowRun], { run, proposed, now: scheduledTime }, {})).toMatchObject({
      kind: 'accept',
      state: { name: 'AwaitingRetry' },
      policy: { recoveries: 3, retryType: 'reschedule' },
    });
  });

  it('neither counts nor gives up a run that was handed back', () => {
    const run = {
      state: { type: StateType.Running, details: {} },
      policy: { recoveries: 10, maxRecoveries: 10, retryType: null },
    } as unknown as FlowRun;
    const verdict = decide(
      [takeOverFlowRun],
      { run, proposed: awaitingResume({ scheduledTime }), now: scheduledTime },
      {},
    );
    expect(verdict).toMatchObject({ kind: 'accept', policy: { resuming: true } });
  });

  it('says nothing of other states that are scheduled', () => {
    expect(policyAfter(StateType.Running, 'in_process', scheduled({ scheduledTime }))).toEqual({});
  });
});

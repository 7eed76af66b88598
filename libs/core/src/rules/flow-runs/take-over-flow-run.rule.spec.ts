import { STATE_TYPES, StateType } from '../../states/state.js';
import { awaitingResume, scheduled } from '../../states/states.js';
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

  it('says nothing of other states that are scheduled', () => {
    expect(policyAfter(StateType.Running, 'in_process', scheduled({ scheduledTime }))).toEqual({});
  });
});

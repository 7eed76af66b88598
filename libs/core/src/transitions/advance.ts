import { isTerminal, StateType, type State } from '../states/state.js';
import type { FlowRun, Run, TaskRun } from './run.js';
import type { PolicyChange } from './transition.js';

/**
 * The flow run after it has entered `state`: every field that follows from its history is brought up to date.
 *
 * @param change what the rules changed in the run's policy.
 */
export function advanceFlowRun(run: FlowRun, state: State, change: PolicyChange): FlowRun {
  const policy = hasFields(change) ? { ...run.policy, ...change } : run.policy;
  // Coming back is no new attempt; a run that was paused before it ever ran begins its first one.
  const counts = state.type === StateType.Running && (!policy.resuming || run.runCount === 0);
  const cameBack = policy.resuming && (state.type === StateType.Running || isTerminal(state.type));
  return {
    ...run,
    ...bookkeeping(run, state),
    runCount: counts ? run.runCount + 1 : run.runCount,
    policy: cameBack ? { ...policy, resuming: false } : policy,
  };
}

/**
 * The task run after it has entered `state`.
 *
 * @param flowRunRunCount the attempt of the flow run it belongs to; 0 outside flows.
 * @param startsOver as the verdict says: attempts are counted from 1 again.
 */
export function advanceTaskRun(run: TaskRun, state: State, flowRunRunCount: number, startsOver = false): TaskRun {
  const runs = state.type === StateType.Running;
  const before = startsOver ? 0 : run.runCount;
  return {
    ...run,
    ...bookkeeping(run, state),
    runCount: runs ? before + 1 : before,
    flowRunRunCount: runs ? flowRunRunCount : run.flowRunRunCount,
  };
}

type Bookkeeping = Pick<
  Run,
  'state' | 'expectedStartTime' | 'nextScheduledStartTime' | 'startTime' | 'endTime' | 'totalRunTimeUs'
>;

function bookkeeping(run: Run, state: State): Bookkeeping {
  const from = run.state;
  const started = run.startTime ?? (state.type === StateType.Running ? state.timestamp : null);
  const ended = isTerminal(state.type);
  const elapsedUs = from?.type === StateType.Running ? state.timestamp - from.timestamp : 0;
  return {
    state,
    expectedStartTime: run.expectedStartTime ?? state.details.scheduledTime ?? state.timestamp,
    nextScheduledStartTime:
      state.type === StateType.Scheduled ? (state.details.scheduledTime ?? state.timestamp) : null,
    // A run that ends without ever running started when it ended, so that it has a place on a time line.
    startTime: started ?? (ended ? state.timestamp : null),
    // A rerun of an ended run clears the end; one terminal state after another keeps the first.
    endTime: ended ? endTimeOf(run, state) : null,
    totalRunTimeUs: run.totalRunTimeUs + Math.max(0, elapsedUs),
  };
}

function endTimeOf(run: Run, state: State): State['timestamp'] {
  const alreadyEnded = run.state !== null && isTerminal(run.state.type);
  return alreadyEnded && run.endTime !== null ? run.endTime : state.timestamp;
}

function hasFields(object: object): boolean {
  for (const _ in object) return true;
  return false;
}

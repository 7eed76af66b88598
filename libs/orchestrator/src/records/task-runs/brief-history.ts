import { StateType, type State } from '@nestor/core';
import type { NewState } from '../stored-state.js';
import type { BriefHistory, TaskRunWrite } from './task-run-rows.js';

/**
 * The history of a run that is written in its first three states, all as they usually are: it was called, ran once and
 * succeeded. Most runs are. `null` for any other, whose states are rows of their own.
 */
export function briefHistoryOf({ created, run }: TaskRunWrite, states: readonly NewState[]): BriefHistory | null {
  const [pending, running, completed] = states;
  if (!pending || !running || !completed || states.length > 3) return null;
  const isUsual =
    run.state?.type === StateType.Completed &&
    run.runCount === 1 &&
    created.tags.length === 0 &&
    created.taskVersion === null &&
    created.inputs === null &&
    isPlain(pending.state, 'Pending') &&
    isPlain(running.state, 'Running') &&
    isPlain(completed.state, 'Completed') &&
    run.expectedStartTime === pending.state.timestamp &&
    run.startTime === running.state.timestamp &&
    run.endTime === completed.state.timestamp;
  return isUsual ? { pendingStateId: pending.state.id, runningStateId: running.state.id } : null;
}

/** Whether a state says nothing but its name. */
function isPlain({ name, message, details }: State, usualName: string): boolean {
  if (name !== usualName || message !== null) return false;
  for (const _ in details) return false;
  return true;
}

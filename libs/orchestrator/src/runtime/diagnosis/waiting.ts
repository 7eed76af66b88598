import { StateType } from '@nestor/core';
import type { ExaminedRun, RunCheck } from './run-check.js';

/** A check that only concerns runs that nobody has and that somebody is to take, now or later. */
export function ofWaiting(check: RunCheck): RunCheck {
  return (run) => (isWaiting(run) ? check(run) : []);
}

function isWaiting({ row }: ExaminedRun): boolean {
  return row.rootFlowRunId === row.id && row.stateType === StateType.Scheduled && row.processId === null;
}

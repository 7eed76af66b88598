import { formatInstant, StateType } from '@nestor/core';
import type { RunCheck } from '../run-check.js';

/** It waits for its time: the first one, the next attempt, the end of a sleep. */
export const dueTime: RunCheck = ({ row, now }) => {
  const { stateType, stateName, nextScheduledStartTime: until, runCount } = row;
  if (stateType !== StateType.Scheduled || until === null || until <= now) return [];
  if (stateName === 'AwaitingRetry') {
    return [
      {
        code: 'AWAITING_RETRY',
        message: `Attempt ${runCount} failed; the next one begins at ${formatInstant(until)}.`,
        blocks: true,
        data: { at: until, attempt: runCount },
      },
    ];
  }
  return [
    {
      code: 'SCHEDULED_LATER',
      message: `It is to begin at ${formatInstant(until)}.`,
      blocks: true,
      data: { until },
    },
  ];
};

import { StateType } from '@nestor/core';
import type { RunCheck } from '../run-check.js';

/** Its schedule lets no two runs go on at once. */
export const turn: RunCheck = async ({ row, records }) => {
  const { stateType, awaitsTurn, scheduleId } = row;
  if (stateType !== StateType.Scheduled || !awaitsTurn || scheduleId === null) return [];
  const behind = await records.beforeItInSchedule(row);
  const [first] = behind;
  const more = behind.length > 1 ? ` and ${behind.length - 1} more` : '';
  return [
    {
      code: 'AWAITING_TURN',
      message: first
        ? `Its schedule lets no two runs go on at once: it waits behind run ${first.id} (${first.name})${more}.`
        : 'Its schedule lets no two runs go on at once: it gets its turn when it is due, with the next look at the schedule.',
      blocks: true,
      data: { scheduleId, behind },
    },
  ];
};

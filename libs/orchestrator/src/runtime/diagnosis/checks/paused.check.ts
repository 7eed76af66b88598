import { formatInstant, StateType } from '@nestor/core';
import type { RunCheck } from '../run-check.js';

/** Somebody has to resume it. */
export const paused: RunCheck = async ({ row, state, input }) => {
  if (row.stateType !== StateType.Paused) return [];
  const {
    pauseTimeout: until = null,
    pauseReschedule = false,
    pauseKey: key = null,
    runInputKeyset,
  } = state?.details ?? {};
  const schemaKey = runInputKeyset?.schema;
  const asksFor = schemaKey === undefined ? null : await input(schemaKey);
  const what = pauseReschedule ? 'It is suspended' : 'It is paused';
  const remedy =
    schemaKey === undefined ? 'until somebody resumes it' : 'until somebody resumes it with the input it asks for';
  const end = until === null ? '' : `; it fails if nobody has by ${formatInstant(until)}`;
  return [
    {
      code: 'PAUSED',
      message: `${what} ${remedy}${end}.`,
      blocks: true,
      data: { leftProcess: pauseReschedule, key, asksFor, until },
    },
  ];
};

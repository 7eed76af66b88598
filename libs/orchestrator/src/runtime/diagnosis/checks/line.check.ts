import type { RunCheck } from '../run-check.js';
import { ofWaiting } from '../waiting.js';

/** Runs without a key that are due go first where it waits, by priority and then by the time at which they were due. */
export const line: RunCheck = ofWaiting(async ({ row, now, leadUs, records }) => {
  const { awaitsTurn, fairLineId, nextScheduledStartTime } = row;
  if (awaitsTurn || fairLineId !== null || (nextScheduledStartTime ?? now) > now) return [];
  const count = await records.countBefore(row, leadUs);
  if (count === 0) return [];
  const message = `${count >= 1_000 ? '1,000 runs or more' : `${count} runs`} that wait in the same place go first.`;
  return [{ code: 'OTHERS_FIRST', message, blocks: true, data: { count } }];
});

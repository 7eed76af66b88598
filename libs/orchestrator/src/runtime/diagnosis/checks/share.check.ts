import type { RunCheck } from '../run-check.js';
import type { RunReason } from '../run-reason.js';
import { ofWaiting } from '../waiting.js';
import { slotsReason } from './slots.check.js';

/** It waits in the line of its key: the key may do no more at once, or others have their turn. */
export const share: RunCheck = ofWaiting(async (run) => {
  const { row, now, leadUs, records, lines } = run;
  const { fairLineId, fairnessKey, awaitsTurn, nextScheduledStartTime, deploymentId } = row;
  if (fairLineId === null || awaitsTurn || (nextScheduledStartTime ?? now) > now) return [];
  const { ahead, keys } = await lines.placeOf(row, leadUs);
  const usedUp = deploymentId === null ? [] : await lines.usedUp(row, leadUs);
  const reasons: RunReason[] = await Promise.all(usedUp.map((limit) => slotsReason({ ...limit, ahead }, records)));
  if (ahead + keys === 0) return reasons;
  const key = fairnessKey ?? '';
  const first = ahead === 0 ? 'it is the next one of those' : `${counted(ahead)} of those go first`;
  const others = keys === 0 ? '' : `, and ${counted(keys)} other keys have turns as well`;
  const message = `It waits for a turn of the runs with key "${key}": ${first}${others}.`;
  return [...reasons, { code: 'AWAITING_SHARE', message, blocks: true, data: { key, ahead, keys } }];
});

function counted(count: number): string {
  return count >= 1_000 ? '1,000 or more' : String(count);
}

import { formatInstant } from '@nestor/core';
import type { AwaitedLimit, SlotHolder } from '../../../records/flow-runs/run-situations.repository.js';
import type { ExaminedRun, RunCheck } from '../run-check.js';
import type { RunReason } from '../run-reason.js';

/** Limits by name, of tags, of deployments: it waits for slots of some, or code of it does while it is running. */
export const slots: RunCheck = async ({ row, leadUs, records }) => {
  const awaited = await records.awaitedLimits(row.id, leadUs);
  return Promise.all(awaited.map((limit) => slotsReason(limit, records)));
};

/** What there is to say of a limit that a run waits for. */
export async function slotsReason(awaited: AwaitedLimit, records: ExaminedRun['records']): Promise<RunReason> {
  const { id, name: limit, limit: allowed, slots: wanted, ahead, taskRunId, refillsAt } = awaited;
  const data = { limit, allowed, slots: wanted, ahead, taskRunId };
  const who = taskRunId === null ? 'It waits' : `Task run ${taskRunId} waits`;
  const line = ahead === 0 ? '' : ` ${ahead} others have waited longer.`;
  if (refillsAt !== null) {
    const message = `${who} for the rate of limit "${limit}", which has room for it at ${formatInstant(refillsAt)}.${line}`;
    return { code: 'AWAITING_RATE', message, blocks: true, data: { ...data, refillsAt } };
  }
  const heldBy = await records.slotHolders(id);
  const message = `${who} for ${wanted} of ${allowed} slots of limit "${limit}"${describe(heldBy)}${line}`;
  return { code: 'AWAITING_SLOTS', message, blocks: true, data: { ...data, heldBy } };
}

function describe(holders: readonly SlotHolder[]): string {
  const [first, ...more] = holders;
  if (!first) return '.';
  const { flowRunId, taskRunId, since } = first;
  const whose =
    taskRunId === null ? (flowRunId === null ? 'a client' : `flow run ${flowRunId}`) : `task run ${taskRunId}`;
  return `; ${whose} has some since ${formatInstant(since)}${more.length > 0 ? `, and ${more.length} more` : ''}.`;
}

import { formatInstant } from '@nestor/core';
import type { OtherRun } from '../../../records/flow-runs/run-situations.repository.js';
import type { RunCheck } from '../run-check.js';
import type { RunReason } from '../run-reason.js';
import { ofWaiting } from '../waiting.js';

/** The limit of its pool or its queue is used up. */
export const room: RunCheck = ofWaiting(async ({ queue, pool, records }) => {
  if (!queue || !pool) return [];
  const reasons: RunReason[] = [];
  if (pool.concurrencyLimit !== null) {
    const limit = pool.concurrencyLimit;
    const heldBy = await records.occupants(await records.queueIdsOf(pool.id));
    if (heldBy.length >= limit) {
      reasons.push({
        code: 'POOL_FULL',
        message: `Work pool "${pool.name}" lets ${limit} runs go on at a time${describe(heldBy)}`,
        blocks: true,
        data: { pool: pool.name, limit, heldBy },
      });
    }
  }
  if (queue.concurrencyLimit !== null) {
    const limit = queue.concurrencyLimit;
    const heldBy = await records.occupants([queue.id]);
    if (heldBy.length >= limit) {
      reasons.push({
        code: 'QUEUE_FULL',
        message: `Queue "${queue.name}" of work pool "${pool.name}" lets ${limit} runs go on at a time${describe(heldBy)}`,
        blocks: true,
        data: { pool: pool.name, queue: queue.name, limit, heldBy },
      });
    }
  }
  return reasons;
});

function describe([first, ...more]: readonly OtherRun[]): string {
  if (!first) return '.';
  const others = more.length > 0 ? ` and ${more.length} more` : '';
  return `; these do: run ${first.id} (${first.name}) since ${formatInstant(first.since)}${others}.`;
}

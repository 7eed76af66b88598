import type { RunCheck } from '../run-check.js';
import type { RunReason } from '../run-reason.js';
import { ofWaiting } from '../waiting.js';

/** Its pool or its queue is paused, or gone. */
export const queue: RunCheck = ofWaiting(({ row, queue: lane, pool }) => {
  const { workQueueId, workQueueName } = row;
  if (workQueueId === null) return [];
  if (!lane || !pool) {
    return [
      {
        code: 'QUEUE_GONE',
        message: `The queue in which it waits (${workQueueName ?? workQueueId}) is not there any more: cancel the run.`,
        blocks: true,
        data: { workQueueId, workQueueName },
      },
    ];
  }
  const reasons: RunReason[] = [];
  if (pool.isPaused) {
    reasons.push({
      code: 'POOL_PAUSED',
      message: `Work pool "${pool.name}" is paused: nobody takes runs from it until it is resumed.`,
      blocks: true,
      data: { pool: pool.name },
    });
  }
  if (lane.isPaused) {
    reasons.push({
      code: 'QUEUE_PAUSED',
      message: `Queue "${lane.name}" of work pool "${pool.name}" is paused: nobody takes runs from it until it is resumed.`,
      blocks: true,
      data: { pool: pool.name, queue: lane.name },
    });
  }
  return reasons;
});

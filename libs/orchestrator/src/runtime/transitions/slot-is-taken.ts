import type { DeploymentConcurrency } from '@nestor/core';

/** What the rules are told where the slot of a run is no matter any more: it has one, or its deployment has no limit. */
export const SLOT_IS_TAKEN: DeploymentConcurrency = {
  limit: null,
  collisionStrategy: 'ENQUEUE',
  gracePeriodMs: 0,
  slotFree: true,
  newLeaseId: '',
};

import { preparedStatement } from '../../../libs/orchestrator/src/persistence/transactions.js';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { ScheduledRuns } from '../../../libs/orchestrator/src/runtime/scheduling/scheduled-runs.service.js';

const LOST_EVERY = 20;

/** Of twenty runs that are enqueued by themselves, one is acknowledged and never created. */
export function loseEnqueuedRuns(): void {
  let count = 0;
  const { create } = ScheduledRuns.prototype;
  ScheduledRuns.prototype.create = function (flow, request) {
    if ((count += 1) % LOST_EVERY !== 0) return create.call(this, flow, request);
    return Promise.resolve({ id: newId(), name: 'lost', isNew: true });
  };
}

/** Whoever takes runs of a pool with a limit waits for nobody who does so as well. */
export function switchOffPoolLock(): void {
  const { claimQueued } = FlowRunClaimsRepository.prototype;
  FlowRunClaimsRepository.prototype.claimQueued = function (...args) {
    Object.assign(this, { lockStatement: preparedStatement('lock_nothing', 'select $1::text') });
    return claimQueued.apply(this, args);
  };
}

/** What is enqueued in a transaction of the application is there at once, whatever becomes of that. */
export function leaveHostTransactions(): void {
  ScheduledRuns.prototype.createAllWithin = function (_, flow, requests) {
    return this.createAll(flow, requests);
  };
}

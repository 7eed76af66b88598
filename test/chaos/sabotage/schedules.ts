import { ScheduleFillingRepository } from '../../../libs/orchestrator/src/records/deployments/schedule-filling.repository.js';
import { WaitingFlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/waiting-flow-runs.repository.js';

const LEFT_OUT_EVERY = 100;

/** Of a hundred runs that schedules are to make, one is not made. */
export function leaveInstantsOut(): void {
  let count = 0;
  const { create } = WaitingFlowRunsRepository.prototype;
  WaitingFlowRunsRepository.prototype.create = function (tx, runs) {
    const made = runs.filter(({ origin }) => !origin.autoScheduled || (count += 1) % LEFT_OUT_EVERY !== 0);
    return create.call(this, tx, made);
  };
}

/** Whoever finds that runs of a schedule have to be made makes them, whether or not others do so, and they have no keys. */
export function switchOffScheduleKeys(): void {
  const { create } = WaitingFlowRunsRepository.prototype;
  WaitingFlowRunsRepository.prototype.create = function (tx, runs) {
    const nameless = runs.map((run) => ({ ...run, origin: { ...run.origin, idempotencyKey: null } }));
    return create.call(this, tx, nameless);
  };
  ScheduleFillingRepository.prototype.lockDue = async (tx, { app, limit }) => {
    const rows = await tx.query<{ id: string }>(
      'select id from nestor.deployment_schedule where app = $1 and fill_at <= now() order by fill_at limit $2',
      [app, limit],
    );
    return rows.map(({ id }) => id);
  };
}

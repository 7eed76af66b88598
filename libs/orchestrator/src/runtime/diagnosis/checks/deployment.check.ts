import type { RunCheck } from '../run-check.js';
import type { RunReason } from '../run-reason.js';

const BECAUSE = {
  asked: '',
  removed: ', because the code has it no more',
  away: ', because no process serves it',
} as const;

/** What made it makes no more: good to know of a run that somebody waits for. */
export const deployment: RunCheck = ({ deployment: of, schedule }) => {
  const reasons: RunReason[] = [];
  if (of?.paused) {
    const because = of.pausedReason === null ? '' : BECAUSE[of.pausedReason];
    reasons.push({
      code: 'DEPLOYMENT_PAUSED',
      message: `Deployment "${of.name}" is paused${because}: its schedules make no further runs. Runs that are there go on.`,
      blocks: false,
      data: { deploymentId: of.id, deployment: of.name, because: of.pausedReason },
    });
  }
  if (schedule && !schedule.active) {
    reasons.push({
      code: 'SCHEDULE_INACTIVE',
      message: 'The schedule that made it is not active and makes no further runs. Runs that are there go on.',
      blocks: false,
      data: { scheduleId: schedule.id, deploymentId: schedule.deploymentId },
    });
  }
  return reasons;
};

import { cancelIdleFlowRun } from '../rules/flow-runs/cancel-idle-flow-run.rule.js';
import { enforceCancellingToCancelled } from '../rules/flow-runs/enforce-cancelling-to-cancelled.rule.js';
import { holdDeploymentSlot } from '../rules/flow-runs/hold-deployment-slot.rule.js';
import { markOnlyScheduledLate } from '../rules/flow-runs/mark-only-scheduled-late.rule.js';
import { mirrorSubflowState } from '../rules/flow-runs/mirror-subflow-state.rule.js';
import { pauseFlowRun } from '../rules/flow-runs/pause-flow-run.rule.js';
import { preserveDeploymentLease } from '../rules/flow-runs/preserve-deployment-lease.rule.js';
import { protectEndedFlowRun } from '../rules/flow-runs/protect-ended-flow-run.rule.js';
import { releaseDeploymentSlot } from '../rules/flow-runs/release-deployment-slot.rule.js';
import { resumePausedFlowRun } from '../rules/flow-runs/resume-paused-flow-run.rule.js';
import { retryFailedFlowRun } from '../rules/flow-runs/retry-failed-flow-run.rule.js';
import { secureDeploymentSlot } from '../rules/flow-runs/secure-deployment-slot.rule.js';
import { takeOverFlowRun } from '../rules/flow-runs/take-over-flow-run.rule.js';
import { validateDeploymentSlot } from '../rules/flow-runs/validate-deployment-slot.rule.js';
import { copyScheduledTime } from '../rules/shared/copy-scheduled-time.rule.js';
import { preventDuplicateTransitions } from '../rules/shared/prevent-duplicate-transitions.rule.js';
import { preventPendingTransitions } from '../rules/shared/prevent-pending-transitions.rule.js';
import { waitForScheduledTime } from '../rules/shared/wait-for-scheduled-time.rule.js';
import type { FlowRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/**
 * What may alter a transition of a flow run, native or foreign, in order. No rule makes events of transitions: every state
 * is an event as it stands.
 */
export const flowRunPolicy: Policy<FlowRun> = [
  preserveDeploymentLease,
  preventDuplicateTransitions, // before all that refuses: a resent proposal must not meet the rules a second time
  protectEndedFlowRun,
  enforceCancellingToCancelled, // before the claim and retry rules: no detour leads out of CANCELLING
  cancelIdleFlowRun, // before the pause rule: a suspended run can be cancelled
  preventPendingTransitions, // before the slot rule: who is turned away takes no slot
  validateDeploymentSlot,
  secureDeploymentSlot,
  holdDeploymentSlot,
  markOnlyScheduledLate,
  pauseFlowRun,
  resumePausedFlowRun,
  copyScheduledTime,
  waitForScheduledTime,
  retryFailedFlowRun,
  takeOverFlowRun,
  releaseDeploymentSlot, // after all that put another state in the place of the proposed one
  mirrorSubflowState,
];

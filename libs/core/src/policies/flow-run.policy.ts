import { enforceCancellingToCancelled } from '../rules/flow-runs/enforce-cancelling-to-cancelled.rule.js';
import { protectEndedFlowRun } from '../rules/flow-runs/protect-ended-flow-run.rule.js';
import { recoverInterruptedFlowRun } from '../rules/flow-runs/recover-interrupted-flow-run.rule.js';
import { retryFailedFlowRun } from '../rules/flow-runs/retry-failed-flow-run.rule.js';
import { copyScheduledTime } from '../rules/shared/copy-scheduled-time.rule.js';
import { preventDuplicateTransitions } from '../rules/shared/prevent-duplicate-transitions.rule.js';
import { preventPendingTransitions } from '../rules/shared/prevent-pending-transitions.rule.js';
import { waitForScheduledTime } from '../rules/shared/wait-for-scheduled-time.rule.js';
import type { FlowRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/** What may alter a transition of a flow run, in order. */
export const flowRunPolicy: Policy<FlowRun> = [
  preventDuplicateTransitions, // first: a resent proposal must not meet the rules a second time
  protectEndedFlowRun,
  enforceCancellingToCancelled, // before the claim and retry rules: no detour leads out of CANCELLING
  preventPendingTransitions,
  copyScheduledTime,
  waitForScheduledTime,
  retryFailedFlowRun,
  recoverInterruptedFlowRun,
];

import { cancelIdleFlowRun } from '../rules/flow-runs/cancel-idle-flow-run.rule.js';
import { mirrorSubflowState } from '../rules/flow-runs/mirror-subflow-state.rule.js';
import { preventResultLoss } from '../rules/flow-runs/prevent-result-loss.rule.js';
import { releaseDeploymentSlot } from '../rules/flow-runs/release-deployment-slot.rule.js';
import type { FlowRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/** What a flow run is held to even when a state is forced on it: results are not lost, and slots are let go. */
export const forcedFlowRunPolicy: Policy<FlowRun> = [
  preventResultLoss,
  cancelIdleFlowRun,
  releaseDeploymentSlot,
  mirrorSubflowState,
];

import { cancelLateCollision } from '../rules/flow-runs/cancel-late-collision.rule.js';
import { markOnlyScheduledLate } from '../rules/flow-runs/mark-only-scheduled-late.rule.js';
import { mirrorSubflowState } from '../rules/flow-runs/mirror-subflow-state.rule.js';
import type { FlowRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';

/** What whoever looks for late flow runs is held to. */
export const markLateFlowRunPolicy: Policy<FlowRun> = [markOnlyScheduledLate, cancelLateCollision, mirrorSubflowState];

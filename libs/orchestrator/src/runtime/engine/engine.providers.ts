import { ActiveFlowRuns } from './active-flow-runs.js';
import { FlowAttempts } from './flows/flow-attempts.service.js';
import { FlowBodies } from './flows/flow-bodies.service.js';
import { FlowEngine } from './flows/flow-engine.js';
import { FlowRunCreation } from './flows/flow-run-creation.service.js';
import { FlowRunEndings } from './flows/flow-run-endings.service.js';
import { OrchestratorEngine } from './orchestrator-engine.js';
import { Publications } from './publications.service.js';
import { RunLogs } from './run-logs.js';
import { RunWaits } from './run-waits.service.js';
import { EngineScopeServices } from './scope-services.js';
import { RecordedOutcomes } from './tasks/recorded-outcomes.service.js';
import { RememberedOutcomes } from './tasks/remembered-outcomes.service.js';
import { TaskAttempts } from './tasks/task-attempts.service.js';
import { TaskBodies } from './tasks/task-bodies.service.js';
import { TaskEngine } from './tasks/task-engine.js';
import { TaskRunStates } from './tasks/task-run-states.service.js';
import { TaskSlots } from './tasks/task-slots.service.js';
import { TaskTransactions } from './tasks/task-transactions.service.js';

/** Flows and tasks, from attempt to outcome. */
export const engineProviders = [
  RunLogs,
  ActiveFlowRuns,
  RunWaits,
  EngineScopeServices,
  TaskRunStates,
  TaskTransactions,
  TaskBodies,
  TaskSlots,
  TaskAttempts,
  RememberedOutcomes,
  RecordedOutcomes,
  TaskEngine,
  FlowRunCreation,
  FlowBodies,
  FlowRunEndings,
  FlowAttempts,
  FlowEngine,
  OrchestratorEngine,
  Publications,
];

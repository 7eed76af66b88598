import type { ProposedState, State, StateDetails } from '../states/state.js';
import type { FlowRun, TaskRun } from './run.js';

/**
 * A state of a run, with the details that say whose it is: its flow run, its task run; of a subflow, the task run that
 * stands for it. They are the same for every state of a run, so they are told where a state is shown and not stored with it.
 */
export function stateOfRun(run: FlowRun | TaskRun, state: State): State {
  return { ...state, details: { ...state.details, ...idsOf(run) } };
}

function idsOf(run: FlowRun | TaskRun): StateDetails {
  if (run.kind === 'task-run')
    return { taskRunId: run.id, ...(run.flowRunId !== null && { flowRunId: run.flowRunId }) };
  return { flowRunId: run.id, ...(run.parentTaskRunId !== null && { taskRunId: run.parentTaskRunId }) };
}

/** The state that the task run enters which stands for subflow `flowRunId` (effect `mirror-state`). */
export function mirroredState(flowRunId: string, state: ProposedState): ProposedState {
  // The lease is the flow run's own, and the transition is another one.
  const { deploymentConcurrencyLeaseId: _, transitionId: __, ...details } = state.details;
  const { type, name, message, data } = state;
  return { type, name, message, details: { ...details, childFlowRunId: flowRunId }, ...(data && { data }) };
}

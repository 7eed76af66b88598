import { formatInstant, type Instant, type State } from '@nestor/core';
import type { FlowRunView, FlowRunWithHistory, TaskRunView } from '@nestor/orchestrator';

/** A flow run on the wire: names and units of the HTTP contract (ISO instants with microseconds, durations in seconds). */
export function flowRunDto(run: FlowRunView) {
  return {
    id: run.id,
    name: run.name,
    flow_id: run.flowId,
    flow_name: run.flowName,
    parent_task_run_id: run.parentTaskRunId,
    state_type: run.stateType,
    state_name: run.stateName,
    tags: run.tags,
    run_count: run.runCount,
    created: formatInstant(run.created),
    expected_start_time: iso(run.expectedStartTime),
    start_time: iso(run.startTime),
    end_time: iso(run.endTime),
    total_run_time: run.totalRunTimeMs / 1_000,
  };
}

/**
 * The same with its parameters, in the form they are kept in (which JSON can hold whatever they are), and history. Parameters
 * that this process cannot read hide nothing else of the run.
 */
export function flowRunDetailsDto(run: FlowRunWithHistory) {
  return {
    ...flowRunDto(run),
    parameters: run.parametersJson,
    parameters_error: run.parametersError && { code: run.parametersError.code, message: run.parametersError.message },
    states: run.states.map(stateDto),
  };
}

export function taskRunDto(run: TaskRunView) {
  return {
    id: run.id,
    name: run.name,
    task_key: run.taskKey,
    flow_run_id: run.flowRunId,
    parent_task_run_id: run.parentTaskRunId,
    state_type: run.stateType,
    state_name: run.stateName,
    run_count: run.runCount,
    start_time: iso(run.startTime),
    end_time: iso(run.endTime),
    total_run_time: run.totalRunTimeMs / 1_000,
  };
}

/** Where the details of a paused state name the schema of its input, `GET …/input/{key}` gives it. */
export function stateDto(state: State) {
  const { runInputKeyset } = state.details;
  return {
    id: state.id,
    type: state.type,
    name: state.name,
    message: state.message,
    timestamp: formatInstant(state.timestamp),
    state_details: runInputKeyset ? { run_input_keyset: runInputKeyset } : {},
  };
}

function iso(instant: Instant | null): string | null {
  return instant === null ? null : formatInstant(instant);
}

import { OrchestratorError, type StateType } from '@nestor/core';

/** What was asked of the run does not go with the state it is in; nothing was changed. */
export class RunControlRefusedError extends OrchestratorError {
  readonly code = 'RUN_CONTROL_REFUSED';

  constructor(
    readonly flowRunId: string,
    /** `pause`, `retry`, … */
    readonly action: string,
    readonly stateType: StateType | null,
    reason: string,
  ) {
    super(`Flow run ${flowRunId} is ${stateType ?? 'new'}; "${action}" was refused: ${reason}`);
  }
}

/** The task run is none of that flow run. */
export class TaskRunNotFoundError extends OrchestratorError {
  readonly code = 'TASK_RUN_NOT_FOUND';

  constructor(
    readonly taskRunId: string,
    readonly flowRunId: string,
  ) {
    super(`Flow run ${flowRunId} has no task run ${taskRunId}; list them with FlowRuns.taskRunsOf().`);
  }
}

import { OrchestratorError, type StateType } from '@nestor/core';

/** A flow run cannot be deleted while somebody executes it. */
export class FlowRunActiveError extends OrchestratorError {
  readonly code = 'FLOW_RUN_ACTIVE';

  constructor(
    readonly flowRunId: string,
    readonly stateType: StateType | null,
  ) {
    super(
      `Flow run ${flowRunId} is ${stateType ?? 'new'}, and is not deleted while somebody executes it, or what is within it; cancel it ` +
        `first, with RunControl.cancel(), and delete it when it has ended.`,
    );
  }
}

/** A flow run is part of another one, without which it cannot be deleted. */
export class FlowRunWithinAnotherError extends OrchestratorError {
  readonly code = 'FLOW_RUN_WITHIN_ANOTHER';

  constructor(
    readonly flowRunId: string,
    /** The outermost run that it is part of. */
    readonly rootFlowRunId: string,
  ) {
    super(
      `Flow run ${flowRunId} is a subflow of flow run ${rootFlowRunId}, whose records need it; delete that one, and it goes with it.`,
    );
  }
}

/** Why a flow run was not deleted. */
export type DeletionRefusal = FlowRunActiveError | FlowRunWithinAnotherError;

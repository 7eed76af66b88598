import { OrchestratorError } from '@nestor/core';

/** There is no flow run of that id; it may have been deleted, or belong to another schema. */
export class FlowRunNotFoundError extends OrchestratorError {
  readonly code = 'FLOW_RUN_NOT_FOUND';

  constructor(readonly flowRunId: string) {
    super(
      `There is no flow run ${flowRunId}; check the id, and that this process uses the schema the run was made in.`,
    );
  }
}

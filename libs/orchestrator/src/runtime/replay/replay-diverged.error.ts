import { OrchestratorError } from '@nestor/core';

/**
 * A resumed flow run called something else than it did before: its code is not deterministic, or was edited.
 *
 * What the code asks for must depend on its parameters and on what its tasks returned alone. Take the time, random numbers
 * and ids from `currentRun()`, and do everything else that may differ inside a task.
 */
export class ReplayDivergedError extends OrchestratorError {
  readonly code = 'REPLAY_DIVERGED';

  constructor(
    /** The task or flow that was called. */
    readonly taskKey: string,
    /** How many recorded calls of it nobody asked for. */
    readonly unclaimed: number,
  ) {
    super(
      `"${taskKey}" was called with inputs that are not recorded, while ${unclaimed} recorded call(s) of it were not made ` +
        `again: the flow is not deterministic. Take time, random numbers and ids from currentRun(), do what may differ ` +
        `inside a task, or set onDivergence.`,
    );
  }
}

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
    /** What happened, up to the colon. */
    what: string,
  ) {
    super(
      `${what}: the flow is not deterministic. Take time, random numbers and ids from currentRun(), do what may differ ` +
        `inside a task, or set onDivergence.`,
    );
  }

  /** @param recorded the names of task runs that the calls are recorded in which were not made again. */
  static inPlaceOf(taskKey: string, recorded: readonly string[]): ReplayDivergedError {
    const names = recorded.length > MAX_NAMES ? [...recorded.slice(0, MAX_NAMES), '…'] : recorded;
    const what =
      `"${taskKey}" was called with inputs that are not recorded, while ${recorded.length} recorded call(s) of it were not ` +
      `made again (${names.join(', ')})`;
    return new ReplayDivergedError(taskKey, recorded.length, what);
  }
}

const MAX_NAMES = 3;

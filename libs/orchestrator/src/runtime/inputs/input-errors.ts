import { OrchestratorError } from '@nestor/core';
import { keptProblems, shownProblems, type ParameterProblem } from '../parameters/parameter-problem.js';

/** `pause`, `suspend` or `receiveInput` was called elsewhere than in the body of a flow: in a task, or outside any run. */
export class NotInFlowBodyError extends OrchestratorError {
  readonly code = 'NOT_IN_FLOW_BODY';

  constructor(
    /** `pause`, `suspend` or `receiveInput`. */
    readonly call: string,
  ) {
    super(
      `${call}() works in the method of a flow alone, not in a task or outside any run; call it in the flow itself.`,
    );
  }
}

/** Nobody resumed the run within the `timeout` of its pause. The run has failed, whatever its code does with this error. */
export class PauseTimeoutError extends OrchestratorError {
  readonly code = 'PAUSE_TIMED_OUT';

  constructor(
    readonly flowRunId: string,
    readonly timeoutMs: number,
  ) {
    super(
      `Nobody resumed flow run ${flowRunId} within ${timeoutMs} ms; it has failed. Retry it, or give it more time.`,
    );
  }
}

/** Nothing came for `receiveInput` within its `timeout`. */
export class InputTimeoutError extends OrchestratorError {
  readonly code = 'INPUT_TIMED_OUT';

  constructor(
    readonly flowRunId: string,
    readonly keyPrefix: string,
  ) {
    super(`No input with a key that begins with "${keyPrefix}-" came for flow run ${flowRunId} in time.`);
  }
}

/**
 * An input does not fit what was asked for: the answer to a pause, which stays as it was, or a message that a run has received.
 */
export class InvalidRunInputError extends OrchestratorError {
  readonly code = 'INVALID_RUN_INPUT';

  /** Every place that is wrong, the first 1,000 of them. */
  readonly problems: readonly ParameterProblem[];

  constructor(
    readonly flowRunId: string,
    problems: readonly ParameterProblem[],
  ) {
    super(`The input for flow run ${flowRunId} does not fit what it asks for. ${shownProblems(problems)}.`);
    this.problems = keptProblems(problems);
  }
}

/** There is nobody to respond to: the input was not sent by a flow run. */
export class InputSenderUnknownError extends OrchestratorError {
  readonly code = 'INPUT_SENDER_UNKNOWN';

  constructor(readonly sender: string | null) {
    super(
      `The input was sent by ${sender ?? 'nobody who said so'}, which is no flow run that could be told something.`,
    );
  }
}

/** The flow run keeps no input under that key. */
export class RunInputNotFoundError extends OrchestratorError {
  readonly code = 'RUN_INPUT_NOT_FOUND';

  constructor(
    readonly flowRunId: string,
    readonly key: string,
  ) {
    super(`Flow run ${flowRunId} has no input "${key}"; what a pause asks for is named in the details of its state.`);
  }
}

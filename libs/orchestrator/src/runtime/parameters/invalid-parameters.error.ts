import { OrchestratorError } from '@nestor/core';
import { keptProblems, shownProblems, type ParameterProblem } from './parameter-problem.js';

/**
 * A flow was given parameters that its types refuse. The run has failed before any code of the flow ran, and is not tried
 * again: a further attempt would be given the same.
 */
export class InvalidParametersError extends OrchestratorError {
  readonly code = 'INVALID_PARAMETERS';

  /** Every place that is wrong, the first 1,000 of them. */
  readonly problems: readonly ParameterProblem[];

  constructor(
    readonly flowName: string,
    problems: readonly ParameterProblem[],
  ) {
    super(
      `Flow "${flowName}" cannot take its parameters. ${shownProblems(problems)}. ` +
        `Start the flow with others, or fork the run with others in their place.`,
    );
    this.problems = keptProblems(problems);
  }
}

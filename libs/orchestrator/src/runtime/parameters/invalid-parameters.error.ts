import { OrchestratorError } from '@nestor/core';

/** What is wrong in one place of the parameters. */
export interface ParameterProblem {
  /** Where: `items[2].sku`; an argument by its position, from `0`. */
  readonly path: string;
  /** What is asked of it: `must be a string`. The value is not repeated. */
  readonly problem: string;
}

const MOST_KEPT = 1_000;
const MOST_SHOWN = 20;
const LONGEST_TEXT = 200;

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
    const kept = problems
      .slice(0, MOST_KEPT)
      .map(({ path, problem }) => ({ path: shortened(path), problem: shortened(problem) }));
    const shown = kept.slice(0, MOST_SHOWN).map(({ path, problem }) => `${path}: ${problem}`);
    const more = problems.length - shown.length;
    super(
      `Flow "${flowName}" cannot take its parameters. ${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}. ` +
        `Start the flow with others, or fork the run with others in their place.`,
    );
    this.problems = kept;
  }
}

/** Names of fields, too, are whatever somebody sent. */
function shortened(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

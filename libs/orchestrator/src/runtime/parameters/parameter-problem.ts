/** What is wrong in one place of what somebody sent: parameters of a flow, or an input of a run. */
export interface ParameterProblem {
  /** Where: `items[2].sku`; an argument by its position, from `0`. */
  readonly path: string;
  /** What is asked of it: `must be a string`. The value is not repeated. */
  readonly problem: string;
}

const MOST_KEPT = 1_000;
const MOST_SHOWN = 20;
const LONGEST_TEXT = 200;

/** The first of the problems, at a bearable length. */
export function keptProblems(problems: readonly ParameterProblem[]): ParameterProblem[] {
  return problems
    .slice(0, MOST_KEPT)
    .map(({ path, problem }) => ({ path: shortened(path), problem: shortened(problem) }));
}

/** The first few of the problems, in words. */
export function shownProblems(problems: readonly ParameterProblem[]): string {
  const shown = keptProblems(problems.slice(0, MOST_SHOWN)).map(({ path, problem }) =>
    path === '' ? problem : `${path}: ${problem}`,
  );
  const more = problems.length - shown.length;
  return `${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

/** Names of fields, too, are whatever somebody sent. */
function shortened(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

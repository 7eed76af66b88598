import { OrchestratorError } from '@nestor/orchestrator';

/** A test ended, and runs that it began had not. */
export class RunsLeakedError extends OrchestratorError {
  readonly code = 'RUNS_LEAKED';

  /** @param calls how many calls had not settled, tasks outside flows included. */
  constructor(
    readonly runs: readonly { readonly id: string; readonly name: string; readonly stateName: string }[],
    readonly calls: number,
  ) {
    const named = runs.map(({ id, name, stateName }) => `"${name}" (${id}) is ${stateName}`);
    const what = named.length > 0 ? named.join(', ') : `${calls} call(s) of tasks outside flows have not settled`;
    super(
      `The orchestrator of a test was closed while runs were going on: ${what}. Await them, cancel them, or advance the clock ` +
        `if they wait for a time; close({ abandonRuns: true }) gives them up.`,
    );
  }
}

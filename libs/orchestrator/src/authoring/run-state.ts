import { completed, failed, type ProposedState, type StateDetails, type StateType } from '@nestor/core';
import { failureMessage } from '../runtime/engine/outcome.js';
import type { TracedRun } from '../runtime/registry/call-options.js';

/**
 * The state that a call ended in, in place of its value: see `withOptions(…, { returnState: true })`. A method that returns
 * such states ends as they say: `COMPLETED` when all of them are.
 */
export class RunState<Result = unknown> implements ProposedState {
  readonly type: StateType;
  /** `Completed`, `Failed`, `TimedOut`, `Cached`, … */
  readonly name: string;
  readonly message: string | null;
  /** Names the run: `taskRunId` for a task and for a subflow, `flowRunId` for a flow that was called from outside. */
  readonly details: StateDetails;
  readonly #outcome: () => Result;

  private constructor({ type, name, message }: ProposedState, run: TracedRun | null, outcome: () => Result) {
    this.type = type;
    this.name = name;
    this.message = message;
    this.details = run === null ? {} : run.kind === 'task-run' ? { taskRunId: run.id } : { flowRunId: run.id };
    this.#outcome = outcome;
  }

  /** @internal */
  static ofResult<Result>(run: TracedRun | null, result: Result): RunState<Result> {
    return new RunState(run?.state() ?? completed(), run, () => result);
  }

  /** @internal */
  static ofError<Result>(run: TracedRun | null, error: unknown): RunState<Result> {
    const state = run?.state() ?? failed();
    return new RunState<Result>({ ...state, message: failureMessage(error) }, run, () => {
      throw error;
    });
  }

  get isCompleted(): boolean {
    return this.type === 'COMPLETED';
  }

  get isFailed(): boolean {
    return this.type === 'FAILED';
  }

  /** What the call gave. @throws what the call threw. */
  result(): Result {
    return this.#outcome();
  }
}

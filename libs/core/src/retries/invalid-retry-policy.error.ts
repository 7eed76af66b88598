import { OrchestratorError } from '../errors/orchestrator-error.js';

/** The retries of a flow or task are asked for in a way that cannot be meant. */
export class InvalidRetryPolicyError extends OrchestratorError {
  readonly code = 'INVALID_RETRY_POLICY';

  constructor(
    /** Whose retries: `task "extract"`. */
    readonly subject: string,
    problem: string,
  ) {
    super(`The retries of ${subject} cannot have the ${problem}.`);
  }
}

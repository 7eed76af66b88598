import { OrchestratorError } from '@nestor/core';

/** An event cannot be emitted like that: something about it is not what it has to be. Nothing was written. */
export class InvalidEventError extends OrchestratorError {
  readonly code = 'INVALID_EVENT';

  constructor(
    /** The name of the event, as far as there is one. */
    readonly event: string,
    readonly problem: string,
  ) {
    super(`Event ${JSON.stringify(event.slice(0, 100))} cannot be emitted: ${problem}.`);
  }
}

import { OrchestratorError } from '@nestor/core';

/** A reference in parameters cannot be meant: it names nothing that could be looked up. */
export class InvalidReferenceError extends OrchestratorError {
  readonly code = 'INVALID_REFERENCE';

  constructor(
    /** As it was written. */
    readonly reference: string,
    readonly problem: string,
  ) {
    super(`${reference} refers to nothing: ${problem}.`);
  }
}

/** What a reference in parameters names is there, and has no such part, or is no JSON. Values are not in the message. */
export class ReferenceUnresolvedError extends OrchestratorError {
  readonly code = 'REFERENCE_UNRESOLVED';

  constructor(
    readonly reference: string,
    readonly problem: string,
  ) {
    super(`${reference} cannot be resolved: ${problem}.`);
  }
}

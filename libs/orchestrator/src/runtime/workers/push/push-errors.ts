import { OrchestratorError } from '@nestor/core';

/** What the template of a push pool says of its request cannot be meant. Values of headers are not in the message. */
export class InvalidPushRequestError extends OrchestratorError {
  readonly code = 'INVALID_PUSH_REQUEST';

  constructor(readonly problem: string) {
    super(`The run cannot be pushed: ${problem}.`);
  }
}

/** A request of a push pool was refused, or never answered. */
export class PushFailedError extends OrchestratorError {
  readonly code = 'PUSH_FAILED';

  constructor(
    /** Without its query. */
    readonly url: string,
    readonly problem: string,
    /** Whether it may be different the next time. */
    readonly isPassing: boolean,
    /** How long to wait at least before that, in milliseconds; `null` where nobody said. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(`The push to ${url} ${problem}.`);
  }
}

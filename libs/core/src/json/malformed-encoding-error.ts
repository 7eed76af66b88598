import { OrchestratorError } from '../errors/orchestrator-error.js';

/** A recorded text that `decode` cannot read: damaged, written by hand, or written by a later release. */
export class MalformedEncodingError extends OrchestratorError {
  readonly code = 'MALFORMED_ENCODING';

  constructor(
    /** What is wrong with the text. */
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `A recorded value cannot be read: ${reason}; ` +
        `if a later release wrote it, upgrade this process, otherwise the stored text was changed or damaged.`,
      options,
    );
  }
}

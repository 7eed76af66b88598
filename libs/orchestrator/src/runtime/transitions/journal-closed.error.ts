import { OrchestratorError } from '@nestor/core';

/** The journal was closed before an entry could be written, because the database stayed away. */
export class JournalClosedError extends OrchestratorError {
  readonly code = 'JOURNAL_CLOSED';

  constructor(options?: ErrorOptions) {
    super('The process stopped before this state could be written to the database.', options);
  }
}

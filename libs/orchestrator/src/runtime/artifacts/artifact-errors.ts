import { OrchestratorError } from '@nestor/core';

/** An artifact cannot be published like that: its key or its content is not what it has to be. Nothing was written. */
export class InvalidArtifactError extends OrchestratorError {
  readonly code = 'INVALID_ARTIFACT';

  constructor(
    /** `key`, `progress`, … */
    readonly field: string,
    readonly problem: string,
  ) {
    super(`The ${field} of an artifact ${problem}.`);
  }
}

/** There is no artifact of that id, or it is no progress where that is what is asked for. */
export class ArtifactNotFoundError extends OrchestratorError {
  readonly code = 'ARTIFACT_NOT_FOUND';

  constructor(
    readonly artifactId: string,
    kind: 'artifact' | 'progress artifact' = 'artifact',
  ) {
    super(`There is no ${kind} ${artifactId}; it may have been deleted, or belong to another schema.`);
  }
}

import { OrchestratorError } from '@nestor/core';

/** A class is no block: it lacks `@Block()`. */
export class NotABlockError extends OrchestratorError {
  readonly code = 'NOT_A_BLOCK';

  constructor(readonly className: string) {
    super(`Class ${className} is no block; decorate it with @Block({ slug: '…' }).`);
  }
}

/** A block cannot have that name, or a field is not what its class says. The values themselves are not in the message. */
export class InvalidBlockError extends OrchestratorError {
  readonly code = 'INVALID_BLOCK';

  constructor(
    /** `slug/name`. */
    readonly block: string,
    readonly problems: readonly string[],
  ) {
    super(`Block "${block}" is not valid: ${problems.join('; ')}.`);
  }
}

/** There is no block of that type and name. */
export class BlockNotFoundError extends OrchestratorError {
  readonly code = 'BLOCK_NOT_FOUND';

  constructor(
    /** `slug/name`. */
    readonly block: string,
  ) {
    super(`There is no block "${block}"; save it first, or look at Blocks.list().`);
  }
}

/** There is a block of that type and name already, and it was not to be overwritten. */
export class BlockExistsError extends OrchestratorError {
  readonly code = 'BLOCK_EXISTS';

  constructor(
    /** `slug/name`. */
    readonly block: string,
  ) {
    super(`There is a block "${block}" already; it stays as it is. Pass overwrite: true to change it.`);
  }
}

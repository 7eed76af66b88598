import { OrchestratorError } from '@nestor/core';

/** A variable cannot have that name, value or tag. Nothing was written. */
export class InvalidVariableError extends OrchestratorError {
  readonly code = 'INVALID_VARIABLE';

  constructor(
    readonly variable: string,
    readonly problem: string,
  ) {
    super(`Variable ${JSON.stringify(variable)} cannot be set: ${problem}.`);
  }
}

/** There is no variable of that name, and no other value was given in its place. */
export class VariableNotFoundError extends OrchestratorError {
  readonly code = 'VARIABLE_NOT_FOUND';

  constructor(readonly variable: string) {
    super(`There is no variable "${variable}"; set it, or give a value that holds without it.`);
  }
}

/** There is a variable of that name already, and it was not to be overwritten. */
export class VariableExistsError extends OrchestratorError {
  readonly code = 'VARIABLE_EXISTS';

  constructor(readonly variable: string) {
    super(`There is a variable "${variable}" already; it stays as it is. Pass overwrite: true to change it.`);
  }
}

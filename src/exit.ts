import { OrchestratorError } from '@nestor/core';

/**
 * Ends the process because of an error nobody can handle any more. One that names its remedy is printed as one line; of
 * any other the stack is needed.
 */
export function exitWith(error: unknown): never {
  if (error instanceof OrchestratorError) console.error(`${error.code}: ${error.message}`);
  else console.error(error);
  process.exit(1);
}

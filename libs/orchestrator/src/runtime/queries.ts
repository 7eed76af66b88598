import { OrchestratorError } from '@nestor/core';
import { isId } from '../persistence/ids.js';

/** The most of anything that is given at once. */
export const MAX_PAGE = 200;

/** A page of that size, or an id of that form, cannot be asked for. */
export class InvalidQueryError extends OrchestratorError {
  readonly code = 'INVALID_QUERY';
}

/** @throws {InvalidQueryError} when it is no whole number from 1 to `most`. */
export function checkedLimit(limit: number, most = MAX_PAGE): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return limit;
  throw new InvalidQueryError(`The limit is ${limit}; it must be a whole number from 1 to ${most}.`);
}

/**
 * @param of what it should be the id of, for messages: `a flow run`.
 * @throws {InvalidQueryError} when it has not the form of an id.
 */
export function checkedId(id: string, of: string): string {
  if (isId(id)) return id;
  throw new InvalidQueryError(`"${id}" is not the id of ${of}.`);
}

import { InvalidSchemaNameError } from '../connection/database-errors.js';

/** Leaves room for suffixes within PostgreSQL's 63 bytes. Needs no quotes but where it is a word of SQL, such as `order`. */
const SCHEMA_NAME = /^(?!pg_)[a-z_][a-z0-9_]{0,47}$/;

/**
 * Gives the name back when it is one our SQL may contain.
 *
 * @throws {InvalidSchemaNameError} otherwise. Raw SQL carries the schema's name as text, so nothing else may pass.
 */
export function checkedSchemaName(schema: string): string {
  if (!SCHEMA_NAME.test(schema)) throw new InvalidSchemaNameError(schema);
  return schema;
}

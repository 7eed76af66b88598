import { Client } from 'pg';
import { typeParsers } from '../type-parsers.js';
import { safeAddress, type ConnectionSettings } from './connection-settings.js';
import { DatabaseLoginError, DatabaseMissingError, DatabaseUnreachableError } from './database-errors.js';
import { errorCode, SqlState } from './postgres-errors.js';
import { refuseOldServer, type ServerVersion } from './server-version.js';

/** How long a server may take to answer before we say that it does not. */
export const CONNECT_TIMEOUT_MS = 10_000;

/**
 * One connection outside the pool, to a server that has been looked at; the caller ends it.
 *
 * @throws {DatabaseUnreachableError} when nothing answers.
 * @throws {DatabaseLoginError} when the server refuses user or password.
 * @throws {DatabaseMissingError} when it has no such database.
 * @throws {DatabaseTooOldError} when it is older than PostgreSQL 14.
 */
export async function connect(settings: ConnectionSettings, applicationName: string): Promise<Client> {
  const client = new Client({
    ...settings,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    types: typeParsers,
  });
  // A connection that breaks is reported by the statement in progress, or by the next; without a listener it would end
  // the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw translated(error, settings);
  }
  try {
    const { rows } = await client.query<ServerVersion>(
      `select current_setting('server_version_num')::int as number, current_setting('server_version') as name`,
    );
    if (rows[0]) refuseOldServer(rows[0], safeAddress(settings));
    return client;
  } catch (error) {
    await client.end();
    throw error;
  }
}

function translated(error: unknown, settings: ConnectionSettings): Error {
  const address = safeAddress(settings);
  switch (errorCode(error)) {
    case SqlState.InvalidPassword:
    case SqlState.InvalidAuthorization:
    case SqlState.InsufficientPrivilege:
      return new DatabaseLoginError(address, error);
    case SqlState.InvalidCatalogName:
      return new DatabaseMissingError(address, error);
    default:
      return new DatabaseUnreachableError(address, error);
  }
}

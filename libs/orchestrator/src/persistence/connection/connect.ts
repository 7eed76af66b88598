import { Client } from 'pg';
import { typeParsers } from '../type-parsers.js';
import { safeAddress, type ConnectionSettings } from './connection-settings.js';
import {
  DatabaseLoginError,
  DatabaseMissingError,
  DatabaseTooOldError,
  DatabaseUnreachableError,
} from './database-errors.js';
import { errorCode, SqlState } from './postgres-errors.js';

/** How long a server may take to answer before we say that it does not. */
export const CONNECT_TIMEOUT_MS = 10_000;

const OLDEST_SERVER_VERSION = 140_000;

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
  try {
    await client.connect();
  } catch (error) {
    throw translated(error, settings);
  }
  const { rows } = await client.query<{ number: string; name: string }>(
    `select current_setting('server_version_num') as number, current_setting('server_version') as name`,
  );
  const version = rows[0];
  if (version && Number(version.number) < OLDEST_SERVER_VERSION) {
    await client.end();
    throw new DatabaseTooOldError(safeAddress(settings), version.name);
  }
  return client;
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

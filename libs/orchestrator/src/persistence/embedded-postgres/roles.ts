import { Client } from 'pg';

import type { ClusterHome } from './cluster-home.js';
import type { Endpoint } from './endpoint.js';
import { EmbeddedPostgresPasswordError } from './errors.js';
import { readOrCreatePassword } from './passwords.js';
import { systemErrorCode } from './system-errors.js';

export const SUPERUSER = 'postgres';
export const APPLICATION_ROLE = 'nestor';

const INVALID_PASSWORD = '28P01';
const INVALID_AUTHORIZATION = '28000';
const UNKNOWN_DATABASE = '3D000';
const CANNOT_CONNECT_NOW = '57P03';
const TOO_MANY_CONNECTIONS = '53300';
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * How the server took the application role:
 * `ready`: it let it in; `unprovisioned`: role or database are not (or no longer) there, or its password is another;
 * `busy`: it is starting, recovering or stopping; `absent`: nobody answers, or not our server.
 */
type Reception = 'ready' | 'unprovisioned' | 'busy' | 'absent';

/** Tries to connect as the application role. Whatever goes wrong with that is an answer. */
export async function knock(home: ClusterHome, endpoint: Endpoint, database: string): Promise<Reception> {
  const password = readOrCreatePassword(home.applicationPassword);
  try {
    await withClient(endpoint, APPLICATION_ROLE, password, database, async () => undefined);
    return 'ready';
  } catch (error) {
    switch (systemErrorCode(error)) {
      case TOO_MANY_CONNECTIONS:
        return 'ready'; // it serves so many others that it has no place for us right now
      case CANNOT_CONNECT_NOW:
        return 'busy';
      case INVALID_PASSWORD:
      case INVALID_AUTHORIZATION:
      case UNKNOWN_DATABASE:
        return 'unprovisioned';
      default:
        return 'absent';
    }
  }
}

/**
 * Creates what is missing of the application's role and database. The role may create databases (test tools do) and owns
 * its own, nothing else. Safe to repeat: it is how a set-up that was cut short is completed.
 *
 * @throws {EmbeddedPostgresPasswordError} when the server refuses the superuser's password.
 */
export async function provision(home: ClusterHome, endpoint: Endpoint, database: string): Promise<void> {
  const superuserPassword = readOrCreatePassword(home.superuserPassword);
  try {
    await withClient(endpoint, SUPERUSER, superuserPassword, 'postgres', async (client) => {
      const password = client.escapeLiteral(readOrCreatePassword(home.applicationPassword));
      const known = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [APPLICATION_ROLE]);
      await client.query(
        `${known.rowCount ? 'ALTER' : 'CREATE'} ROLE ${APPLICATION_ROLE} LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION ` +
          `NOBYPASSRLS PASSWORD ${password}`,
      );
      const existing = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
      if (existing.rowCount) return;
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)} OWNER ${APPLICATION_ROLE}`);
    });
  } catch (error) {
    if (systemErrorCode(error) !== INVALID_PASSWORD) throw error;
    throw new EmbeddedPostgresPasswordError(home.superuserPassword, { cause: error });
  }
}

async function withClient(
  { host, port }: Endpoint,
  user: string,
  password: string,
  database: string,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const client = new Client({
    host,
    port,
    user,
    password,
    database,
    ssl: false,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined); // a server that goes away meanwhile is reported by the call in progress
  try {
    await client.connect();
    await work(client);
  } finally {
    // What was to be done is done, or its error is on its way to the caller; the server ends the connection with this process.
    await client.end().catch(() => undefined);
  }
}

import { withClient } from './server.js';

/** Nothing is measured on this server; the message says why. */
export class UnsuitableServerError extends Error {}

/** What decides whether a commit is durable, and which server says so. */
export interface ServerSettings {
  readonly version: string;
  readonly fsync: string;
  readonly synchronous_commit: string;
  readonly full_page_writes: string;
}

/**
 * Reads the settings as sessions of this role get them.
 *
 * @throws {UnsuitableServerError} when one is not on: a commit that may be lost costs next to nothing, and every
 * figure would be worth as much.
 */
export async function checkServerSettings(url: string): Promise<ServerSettings> {
  const settings = await withClient(url, async (client) => {
    const { rows } = await client.query<ServerSettings>(
      `select current_setting('server_version') as version, current_setting('fsync') as fsync,
              current_setting('synchronous_commit') as synchronous_commit,
              current_setting('full_page_writes') as full_page_writes`,
    );
    return rows[0];
  });
  if (!settings) throw new Error('The server did not tell its settings.');
  const { version: _, ...switches } = settings;
  const off = Object.entries(switches).filter(([, value]) => value !== 'on');
  if (off.length > 0) {
    const found = off.map(([name, value]) => `${name} = ${value}`).join(', ');
    throw new UnsuitableServerError(
      `The server does not make commits durable (${found}): turn these on, or measure on another server.`,
    );
  }
  return settings;
}

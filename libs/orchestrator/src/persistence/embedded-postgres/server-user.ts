import { EmbeddedPostgresPrivilegeError } from './errors.js';

/** The user a server process is given when we run as root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** `nobody`: without rights, and in the `/etc/passwd` of every usual Linux (`initdb` insists on users with a name). */
const NOBODY: ServerUser = { uid: 65_534, gid: 65_534 };

/** Whether this process is root, as which PostgreSQL refuses to run. Never true on Windows. */
export function runsAsRoot(): boolean {
  return process.geteuid?.() === 0;
}

/**
 * The user to start the server as; `undefined` means: as ourselves.
 *
 * As root, the owner of an existing data directory is kept (whoever made it can then still open it), otherwise `nobody`.
 *
 * @throws {EmbeddedPostgresPrivilegeError} as root on a platform where this is not supported, or when the data belongs to root.
 */
export function chooseServerUser(dataOwner: ServerUser | undefined): ServerUser | undefined {
  if (!runsAsRoot()) return undefined;
  if (process.platform !== 'linux') throw new EmbeddedPostgresPrivilegeError(`not supported on ${process.platform}`);
  if (dataOwner?.uid === 0) throw new EmbeddedPostgresPrivilegeError('the data directory belongs to root');
  return dataOwner ?? NOBODY;
}

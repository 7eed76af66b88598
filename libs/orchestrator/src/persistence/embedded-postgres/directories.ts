import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';

import { EmbeddedPostgresPrivilegeError } from './errors.js';
import type { ServerUser } from './server-user.js';
import { systemErrorCode } from './system-errors.js';

/** For everyone to pass through: parents that we create on the way. */
const PASSABLE = 0o755;

/**
 * Creates `path` with exactly `mode`, and missing parents passable; directories that exist are left as they are.
 *
 * The umask is lifted while doing so instead of correcting the mode afterwards: with a strict umask another process that
 * opens the same directory at this moment would find it impassable and place the cluster elsewhere.
 */
export function createDirectory(path: string, mode: number): void {
  if (existsSync(path)) return void mkdirSync(path, { recursive: true }); // complains when it is a file
  if (!existsSync(dirname(path))) createDirectory(dirname(path), PASSABLE);
  const restoreUmask = liftUmask();
  try {
    mkdirSync(path, { mode });
    chmodSync(path, mode);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error; // another process was faster
  } finally {
    restoreUmask();
  }
}

/** A directory for the server alone: mode 0700, handed to `user` when there is one. */
export function createServerDirectory(path: string, user: ServerUser | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  if (user) giveTo(path, user);
}

/** @throws {EmbeddedPostgresPrivilegeError} when this root may not (a container without the capability or the user id). */
export function giveTo(path: string, user: ServerUser): void {
  try {
    chownSync(path, user.uid, user.gid);
  } catch (error) {
    throw new EmbeddedPostgresPrivilegeError(`${path} cannot be given to uid ${user.uid}`, { cause: error });
  }
}

/** Writes a file completely or not at all, durably, readable by its owner only. */
export function writePrivateFile(path: string, content: string): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(temporary, content, { mode: 0o600, flag: 'wx', flush: true });
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** Makes renames inside `path` survive a power loss. Windows has no such call and does not need it. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function liftUmask(): () => void {
  try {
    const previous = process.umask(0);
    return () => void process.umask(previous);
  } catch {
    return () => undefined; // worker threads may not; the chmod above is then the only cure
  }
}

import { OrchestratorError } from '@nestor/core';

import {
  EmbeddedPostgresDirectoryError,
  EmbeddedPostgresDiskFullError,
  EmbeddedPostgresUnknownUserError,
} from './errors.js';

/** The last is PostgreSQL's `disk_full`. */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT', '53100']);
const UNUSABLE: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'it, or a parent of it, is not a directory',
  EISDIR: 'a directory is where a file should be',
  EEXIST: 'a file is in the way',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the path is too long',
};

/**
 * The error code of a failed system call (`ENOENT`) or statement (`28P01`); undefined for anything else.
 * Not by `instanceof Error`: inside Jest, Node's own errors are of another realm.
 */
export function systemErrorCode(error: unknown): string | undefined {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** Runs `read` and turns "there is no such file" into `undefined`; every other error passes. */
export function unlessMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Runs `work` and gives the file system's complaints a name and a remedy.
 *
 * One place instead of one `catch` per call: whichever file it was, the caller can only free space, or make the
 * directory usable.
 */
export async function explainingSystemErrors<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = systemErrorCode(error);
    if (error instanceof OrchestratorError || code === undefined) throw error;
    if (DISK_FULL.has(code)) throw new EmbeddedPostgresDiskFullError(directory, { cause: error });
    const reason = UNUSABLE[code];
    if (reason === undefined) throw error;
    const path = (error as NodeJS.ErrnoException).path ?? directory;
    throw new EmbeddedPostgresDirectoryError(path, `${reason} (${code}${currentUser()})`, { cause: error });
  }
}

function currentUser(): string {
  const uid = process.geteuid?.();
  return uid === undefined ? '' : `, as uid ${uid}`;
}

/** What the output of `initdb` or `postgres` says was wrong, when it is something with its own error. */
export function explainOutput(directory: string, output: readonly string[]): OrchestratorError | undefined {
  const text = output.join('\n');
  if (/No space left on device|Disk quota exceeded/.test(text)) return new EmbeddedPostgresDiskFullError(directory);
  const unknownUser = /could not look up effective user ID (\d+)/.exec(text);
  if (unknownUser) return new EmbeddedPostgresUnknownUserError(Number(unknownUser[1]));
  const denied = output.find((line) =>
    /Permission denied|Operation not permitted|Read-only file system|has wrong ownership|has invalid permissions/.test(
      line,
    ),
  );
  return denied === undefined ? undefined : new EmbeddedPostgresDirectoryError(directory, denied.trim());
}

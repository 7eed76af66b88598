import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { UnreadableLockFileError, UnsupportedLockFileError } from './audit-errors.js';
import type { InstalledPackage } from './installed-package.js';
import { isRecord, readJsonFile, reasonOf } from './json-file.js';

const MAX_LOCK_FILE_BYTES = 64 * 1024 * 1024;
const MODULES = 'node_modules/';

/** Reads `package-lock.json` in the format npm 7 and later write (lockfileVersion 3). */
@Injectable()
export class LockFileReader {
  /**
   * The packages of a lock file, ordered by path. Left out are the project itself, its workspaces and links, and optional
   * packages that are not on this disk because they are made for another platform.
   *
   * @throws {UnreadableLockFileError} when the file is missing, larger than 64 MiB, not JSON, or lists no packages.
   * @throws {UnsupportedLockFileError} when its `lockfileVersion` is not 3.
   */
  async read(file: string): Promise<InstalledPackage[]> {
    const lock = await readJsonFile(file, MAX_LOCK_FILE_BYTES).catch((error: unknown) => {
      throw new UnreadableLockFileError(file, reasonOf(error), { cause: error });
    });
    if (!isRecord(lock)) throw new UnreadableLockFileError(file, 'it is not a JSON object');
    if (lock.lockfileVersion !== 3) throw new UnsupportedLockFileError(file, lock.lockfileVersion);
    if (!isRecord(lock.packages)) throw new UnreadableLockFileError(file, 'it has no "packages"');

    const listed = Object.entries(lock.packages)
      .map(([path, entry]) => toPackage(dirname(file), path, entry))
      .filter((entry) => entry !== null);
    const installed = await Promise.all(listed.map(async (entry) => !entry.optional || (await exists(entry.manifest))));
    return listed.filter((_, i) => installed[i]).sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}

function toPackage(root: string, path: string, entry: unknown): InstalledPackage | null {
  const at = path.lastIndexOf(MODULES);
  // A path that climbs out of the project is a linked directory, whoever wrote it there.
  if (at < 0 || path.split('/').includes('..') || !isRecord(entry) || entry.link === true) return null;
  return {
    path,
    manifest: join(root, path, 'package.json'),
    name: typeof entry.name === 'string' ? entry.name : path.slice(at + MODULES.length),
    version: typeof entry.version === 'string' ? entry.version : 'unknown',
    dev: entry.dev === true, // `devOptional` is an optional package of production that development needs anyway
    optional: entry.optional === true || entry.devOptional === true,
    peer: entry.peer === true,
    deprecated: typeof entry.deprecated === 'string' ? entry.deprecated : null,
  };
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errorCode } from '../../persistence/connection/postgres-errors.js';
import { OWNER_ONLY_DIRECTORY, syncDirectory, writeDurably } from '../../persistence/durable-files.js';
import { msOfId } from '../../persistence/ids.js';
import type { PayloadStore } from './payload-store.js';

const KEY = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Keeps payloads as files, in one folder per day: `<directory>/2026-01-31/<key>`. Processes on several machines need a
 * directory that all of them see.
 *
 * A file is complete or not there, durable when `put` resolves, and readable by its user alone. Old days may be deleted as
 * folders.
 */
export class DirectoryPayloadStore implements PayloadStore {
  readonly name = 'directory';
  private readonly directory: string;

  /** @param options `directory` is created when it is needed; a relative one is in the working directory. */
  constructor({ directory }: { readonly directory: string }) {
    this.directory = resolve(directory);
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const path = this.pathOf(key);
    await createDirectory(dirname(path));
    const unfinished = `${path}.${randomUUID()}.tmp`;
    try {
      await writeDurably(unfinished, bytes);
      await rename(unfinished, path);
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
    await syncDirectory(dirname(path));
  }

  async get(key: string): Promise<Uint8Array | null> {
    try {
      return await readFile(this.pathOf(key));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      throw error;
    }
  }

  async delete(key: string): Promise<void> {
    await rm(this.pathOf(key), { force: true });
  }

  private pathOf(key: string): string {
    if (!KEY.test(key)) throw new Error(`"${key}" is no key of a payload`);
    return join(this.directory, new Date(msOfId(key)).toISOString().slice(0, 10), key);
  }
}

/** Creates a directory, and makes every entry that leads to it durable. */
async function createDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  if (first === undefined) return;
  for (let created = path; ; created = dirname(created)) {
    await syncDirectory(dirname(created));
    if (created === first) return;
  }
}

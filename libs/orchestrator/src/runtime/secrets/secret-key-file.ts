import { randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorCode } from '../../persistence/connection/postgres-errors.js';
import { OWNER_ONLY_DIRECTORY, syncDirectory, writeDurably } from '../../persistence/durable-files.js';
import type { AesKey } from './aes-key-ring.js';
import { SecretKeyFileError } from './secret-errors.js';
import { keyOfText } from './secret-key-option.js';

const OTHERS = 0o077;

/** The keys in a file, one per line; `null` when there is no file. @throws {SecretKeyFileError} */
export async function readKeyFile(file: string): Promise<readonly AesKey[] | null> {
  try {
    const { mode } = await stat(file);
    // Windows has no such bits; there the directory's access list decides.
    if (process.platform !== 'win32' && (mode & OTHERS) !== 0) {
      throw new SecretKeyFileError(file, `others than its owner may read it; chmod 600 ${file}`);
    }
    const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.trim());
    return lines.filter((line) => line !== '').map(keyOfText);
  } catch (error) {
    if (error instanceof SecretKeyFileError) throw error;
    if (errorCode(error) === 'ENOENT') return null;
    throw new SecretKeyFileError(file, String(error), { cause: error });
  }
}

/**
 * Makes the file with a random key, unless another process did: a file that is there is complete, and stays. Durable when
 * this resolves.
 *
 * @throws {SecretKeyFileError}
 */
export async function createKeyFile(file: string): Promise<void> {
  const unfinished = `${file}.${randomUUID()}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: OWNER_ONLY_DIRECTORY });
    await writeDurably(unfinished, `${randomBytes(32).toString('base64')}\n`);
    await link(unfinished, file).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
    await syncDirectory(dirname(file));
  } catch (error) {
    throw new SecretKeyFileError(file, `it cannot be created (${String(error)})`, { cause: error });
  } finally {
    await rm(unfinished, { force: true });
  }
}

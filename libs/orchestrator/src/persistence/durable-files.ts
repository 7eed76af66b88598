import { open } from 'node:fs/promises';

/** Read and written by its user alone. */
export const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY = 0o600;

/**
 * Writes a new file, for its user alone. Its content is durable when this resolves, its name not yet:
 * see {@link syncDirectory}.
 */
export async function writeDurably(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes what was created or renamed in a directory durable; Windows opens no directories, and does so by itself. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

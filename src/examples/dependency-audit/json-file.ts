import { readFile, stat } from 'node:fs/promises';

const BYTE_ORDER_MARK = 0xfeff;

/**
 * Reads a JSON document whose size is known to be reasonable.
 *
 * @throws {Error} when there is no such file, when it is larger than `maxBytes`, or when it is not JSON.
 */
export async function readJsonFile(file: string, maxBytes: number): Promise<unknown> {
  const stats = await stat(file);
  if (!stats.isFile()) throw new Error('it is not a file');
  if (stats.size > maxBytes) throw new Error(`it has ${stats.size} bytes, more than the ${maxBytes} that are read`);
  const text = await readFile(file, 'utf8');
  return JSON.parse(text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Why reading failed, as part of a sentence. */
export function reasonOf(error: unknown): string {
  if (!isRecord(error) || typeof error.message !== 'string') return String(error);
  return error.code === 'ENOENT' ? 'there is no such file' : error.message;
}

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { writePrivateFile } from './directories.js';
import { unlessMissing } from './system-errors.js';

/** The password kept in `file`; a random one, written there first, when there is none. Called under the cluster's lock. */
export function readOrCreatePassword(file: string): string {
  const kept = unlessMissing(() => readFileSync(file, 'utf8').trim());
  if (kept) return kept;
  const password = randomBytes(32).toString('base64url');
  writePrivateFile(file, password);
  return password;
}

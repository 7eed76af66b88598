/** One build at a time in this checkout, whoever started it: `npm run build`, `npm start`, a test, a second terminal. */
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from './build-inputs.mjs';

const lock = join(root, 'node_modules', '.cache', 'nestor', 'build.lock');
const TOUCHED_EVERY_MS = 1_000;
/** Only for a holder on another machine or in another container; on this one its process id tells. */
const ABANDONED_AFTER_MS = 30_000;

export async function withBuildLock(build) {
  await acquire();
  const touch = setInterval(() => utimesSync(lock, new Date(), new Date()), TOUCHED_EVERY_MS);
  const release = () => rmSync(lock, { force: true });
  process.once('exit', release);
  try {
    return await build();
  } finally {
    clearInterval(touch);
    process.off('exit', release);
    release();
  }
}

async function acquire() {
  mkdirSync(dirname(lock), { recursive: true });
  for (let told = false; ;) {
    try {
      const file = openSync(lock, 'wx');
      writeSync(file, JSON.stringify({ pid: process.pid, host: hostname() }));
      return closeSync(file);
    } catch (error) {
      // Windows answers EPERM or EBUSY while the previous holder's file is being deleted.
      if (!['EEXIST', 'EPERM', 'EBUSY'].includes(error.code)) throw error;
    }
    if (isAbandoned()) {
      rmSync(lock, { force: true });
      continue;
    }
    if (!told) console.error('Waiting for another build of this checkout to finish.');
    told = true;
    await sleep(50);
  }
}

function isAbandoned() {
  const file = statSync(lock, { throwIfNoEntry: false });
  if (!file) return false;
  const ageMs = Date.now() - file.mtimeMs;
  if (ageMs > ABANDONED_AFTER_MS) return true;
  try {
    const { pid, host } = JSON.parse(readFileSync(lock, 'utf8'));
    if (host !== hostname()) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    if (error instanceof SyntaxError) return ageMs > TOUCHED_EVERY_MS; // created, not yet written
    return error.code === 'ESRCH';
  }
}

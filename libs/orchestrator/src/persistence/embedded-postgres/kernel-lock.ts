import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { EmbeddedPostgresBusyError } from './errors.js';
import { systemErrorCode, unlessMissing } from './system-errors.js';

/** Longer than a start with crash recovery usually takes. */
const DEFAULT_TIMEOUT_MS = 180_000;
const RETRY_MS = 5;

type Release = () => Promise<void>;

/**
 * An exclusive lock per directory that the kernel frees when its holder dies, however it dies.
 *
 * So there is nothing stale to detect and nothing to steal, which is where lock files with a pid inside go wrong.
 * Node has no `flock`; what it has differs per platform:
 * - Linux: an abstract Unix socket named after the directory's device and inode. Only one process can listen on a name, and
 *   the name goes with the process. It is seen within one network namespace: containers that share a directory do not see
 *   each other's lock, and a directory is meant for the processes of one machine or container.
 * - macOS (`O_EXLOCK`) and Windows (no sharing): an open lock file.
 */
export class KernelLock {
  private constructor(private readonly free: Release) {}

  /** @throws {EmbeddedPostgresBusyError} when it could not be had within `timeoutMs`. */
  static async acquire(directory: string, timeoutMs: number = DEFAULT_TIMEOUT_MS): Promise<KernelLock> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const identity = identify(directory);
      const free = process.platform === 'linux' ? await listen(`\0nestor-${identity}`) : openExclusively(directory);
      if (free) {
        if (unlessMissing(() => identify(directory)) === identity) return new KernelLock(free);
        await free(); // deleted or replaced while we waited: this lock guards nothing any more
      }
      if (performance.now() > deadline) throw new EmbeddedPostgresBusyError(directory, timeoutMs);
      await sleep(RETRY_MS + Math.random() * RETRY_MS);
    }
  }

  release(): Promise<void> {
    return this.free();
  }
}

function identify(directory: string): string {
  const { dev, ino } = statSync(directory, { bigint: true });
  return createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32);
}

function listen(path: string): Promise<Release | undefined> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer((socket) => socket.destroy());
    server.once('error', (error) => (systemErrorCode(error) === 'EADDRINUSE' ? resolve(undefined) : reject(error)));
    // `exclusive`: a cluster worker would otherwise share the listening socket of its primary, and with it the lock.
    server.listen({ path, exclusive: true }, () => {
      resolve(() => new Promise((closed) => void server.close(() => closed())));
    });
  });
}

const O_EXLOCK = process.platform === 'win32' ? 0x1000_0000 : 0x20;
const HELD_BY_ANOTHER = new Set(['EAGAIN', 'EWOULDBLOCK', 'EBUSY']);

function openExclusively(directory: string): Release | undefined {
  const nonBlocking = process.platform === 'win32' ? 0 : constants.O_NONBLOCK;
  try {
    const descriptor = openSync(
      join(directory, 'lock'),
      constants.O_RDWR | constants.O_CREAT | nonBlocking | O_EXLOCK,
      0o600,
    );
    return async () => closeSync(descriptor);
  } catch (error) {
    if (HELD_BY_ANOTHER.has(systemErrorCode(error) ?? '')) return undefined;
    throw error;
  }
}

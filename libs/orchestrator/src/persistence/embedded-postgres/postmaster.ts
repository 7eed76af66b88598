import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { OrchestratorError } from '@nestor/core';

import type { Binaries } from './binaries.js';
import type { ClusterHome } from './cluster-home.js';
import { createServerDirectory } from './directories.js';
import type { Endpoint } from './endpoint.js';
import { EmbeddedPostgresOrphansError, EmbeddedPostgresStopError } from './errors.js';
import { findProcesses, identifyProcess, isPostmasterOf, signal } from './processes.js';
import { openServerLog } from './server-log.js';
import { cannotRun, spawnServerProgram } from './server-process.js';
import { clusterName, serverArguments } from './settings.js';
import { unlessMissing } from './system-errors.js';

const POLL_MS = 5;
const ORPHANS_TERMINATE_AFTER_MS = 1_000;
const ORPHANS_TIMEOUT_MS = 15_000;
const FAST_SHUTDOWN_TIMEOUT_MS = 60_000;
const IMMEDIATE_SHUTDOWN_TIMEOUT_MS = 10_000;

const pidFile = (home: ClusterHome): string => join(home.data, 'postmaster.pid');

/** The pid in `postmaster.pid`, whoever may have it now. */
export function recordedPid(home: ClusterHome): number | undefined {
  const pid = Number.parseInt(unlessMissing(() => readFileSync(pidFile(home), 'utf8')) ?? '', 10);
  return pid > 0 ? pid : undefined;
}

/** The pid of the cluster's live postmaster. */
export function runningPid(home: ClusterHome): number | undefined {
  const pid = recordedPid(home);
  return pid !== undefined && isPostmasterOf(realpathSync(home.data), pid) ? pid : undefined;
}

/**
 * Removes what a killed postmaster left and a new one would stumble over. Does nothing while a postmaster runs. Called under
 * the cluster's lock.
 *
 * PostgreSQL copes with a stale `postmaster.pid` itself, except when its pid belongs to another process by now; only then is
 * the file removed, because it also leads to the shared memory by which surviving backends are noticed. (They are noticed by
 * the data directory's inode as well.) The same holds for the socket's lock file, which leads nowhere and simply goes.
 */
export function removeStaleFiles(home: ClusterHome): void {
  if (runningPid(home) !== undefined) return;
  const pid = recordedPid(home);
  if (pid !== undefined && identifyProcess(pid) !== undefined) rmSync(pidFile(home), { force: true });
  removeSocketDirectory(home);
}

function removeSocketDirectory(home: ClusterHome): void {
  rmSync(home.socket, { recursive: true, force: true });
}

/**
 * Waits until no process of a killed server is left: they hold its shared memory and could still write. Most notice the
 * death of their postmaster at once; one that computes does not, and is asked to end after a second.
 *
 * @throws {EmbeddedPostgresOrphansError} when some are still there after `timeoutMs`.
 */
export async function waitForOrphans(home: ClusterHome, timeoutMs: number = ORPHANS_TIMEOUT_MS): Promise<void> {
  const startedAt = performance.now();
  const title = `postgres: ${clusterName(home)}: `; // all but the postmaster carry it
  let asked = false;
  for (;;) {
    const orphans = findProcesses((commandLine) => commandLine.startsWith(title));
    if (orphans.length === 0) return;
    const waitedMs = performance.now() - startedAt;
    if (waitedMs > timeoutMs) throw new EmbeddedPostgresOrphansError(home.path, orphans);
    if (!asked && waitedMs > ORPHANS_TERMINATE_AFTER_MS) {
      asked = true;
      for (const pid of orphans) signal(pid, 'SIGTERM');
    }
    await sleep(POLL_MS);
  }
}

/** A postmaster that was just started. */
interface LaunchedPostmaster {
  readonly child: ChildProcess;
  /** Resolves when it has ended, or could not be run at all, with an error for the latter. */
  readonly ended: Promise<OrchestratorError | undefined>;
}

/**
 * Starts the postmaster, in a session of its own: Ctrl-C in the terminal reaches every process of the foreground group, and
 * the application still needs its database while it shuts down. It holds nothing of ours open, so Node can exit before it.
 */
export function launchPostmaster(
  home: ClusterHome,
  binaries: Binaries,
  endpoint: Endpoint,
  platform: string,
): LaunchedPostmaster {
  if (endpoint.kind === 'socket') createServerDirectory(home.socket, home.serverUser);
  const log = openServerLog(home);
  try {
    const args = serverArguments(home, endpoint);
    const child = spawnServerProgram(home, binaries, binaries.postgres, args, {
      stdio: ['ignore', log, log],
      detached: true,
    });
    child.unref();
    const ended = once(child, 'exit').then(
      () => undefined,
      (error: unknown) => cannotRun(home, platform, error),
    );
    return { child, ended };
  } finally {
    closeSync(log);
  }
}

/**
 * Stops the cluster's postmaster, if it runs, with a fast shutdown: open transactions are rolled back, everything committed
 * is flushed. Resolves when the process is gone.
 *
 * @throws {EmbeddedPostgresStopError} when it is still there after a minute, and after an immediate shutdown as well.
 */
export async function stopPostmaster(home: ClusterHome, binaries: () => Promise<Binaries>): Promise<boolean> {
  const pid = runningPid(home);
  if (pid === undefined) return false;
  const identity = identifyProcess(pid);
  const gone = (): boolean => identifyProcess(pid) !== identity;
  // Windows has no signals: `process.kill` would end it on the spot.
  if (process.platform === 'win32') await pgCtlStop(home, await binaries());
  else signal(pid, 'SIGINT');
  if (!(await until(gone, FAST_SHUTDOWN_TIMEOUT_MS))) {
    signal(pid, 'SIGQUIT'); // immediate: the next start recovers from the log
    if (!(await until(gone, IMMEDIATE_SHUTDOWN_TIMEOUT_MS))) throw new EmbeddedPostgresStopError(home.path, pid);
  }
  removeSocketDirectory(home);
  return true;
}

async function pgCtlStop(home: ClusterHome, binaries: Binaries): Promise<void> {
  const args = ['stop', '-D', home.data, '-m', 'fast', '-w', '-s'];
  await once(spawnServerProgram(home, binaries, binaries.pgCtl, args, { stdio: 'ignore' }), 'close');
}

async function until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

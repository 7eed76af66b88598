import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { prepareBinaries, type Binaries, type Distribution } from './binaries.js';
import type { ClusterHome } from './cluster-home.js';
import { chooseEndpoint, recordedEndpoint, type Endpoint } from './endpoint.js';
import {
  EmbeddedPostgresDirectoryError,
  EmbeddedPostgresOrphansError,
  EmbeddedPostgresStartError,
  EmbeddedPostgresVersionError,
} from './errors.js';
import { createData, removeIncompleteData } from './initdb.js';
import { launchPostmaster, recordedPid, removeStaleFiles, runningPid, waitForOrphans } from './postmaster.js';
import { knock, provision } from './roles.js';
import { readServerLog, serverLogSize } from './server-log.js';
import { explainOutput, unlessMissing } from './system-errors.js';

const POLL_MS = 5;
const MAX_POLL_MS = 50;
/** For a server that says nothing. One that says it is starting or recovering is given the longer time. */
const SILENCE_TIMEOUT_MS = 30_000;
const RECOVERY_TIMEOUT_MS = 150_000;
const MAX_STARTS = 20;
const RESTART_PAUSE_MS = 250;

/** What bringing a server up needs to know. */
interface BringUp {
  readonly home: ClusterHome;
  readonly distribution: Distribution;
  readonly database: string;
  readonly log: (line: string) => void;
}

/**
 * Makes sure that the server runs and lets the application role in. Called under the cluster's lock.
 * Connect first, start second.
 */
export async function bringUp(context: BringUp): Promise<Endpoint> {
  const { home, distribution, log } = context;
  await removeIncompleteData(home);
  if (existsSync(home.data)) {
    checkCluster(context);
    const endpoint = await adopt(context);
    if (endpoint) return endpoint;
  }
  const binaries = await prepareBinaries(distribution, home);
  if (!existsSync(home.data)) {
    log(`creating a PostgreSQL ${distribution.majorVersion} cluster in ${home.path}`);
    await createData(home, binaries, distribution.platform);
  }
  return start(context, binaries);
}

function checkCluster({ home, distribution }: BringUp): void {
  const uid = process.geteuid?.();
  const owner = statSync(home.data).uid;
  if (uid !== undefined && !home.serverUser && owner !== uid) {
    throw new EmbeddedPostgresDirectoryError(
      home.data,
      `it belongs to uid ${owner} and this process runs as uid ${uid}`,
    );
  }
  const version = unlessMissing(() => readFileSync(join(home.data, 'PG_VERSION'), 'utf8').trim());
  if (version === undefined)
    throw new EmbeddedPostgresDirectoryError(home.data, 'it is not a PostgreSQL data directory (no PG_VERSION)');
  if (version !== distribution.majorVersion)
    throw new EmbeddedPostgresVersionError(home.path, version, distribution.majorVersion);
}

/**
 * Uses the server that is there, if one is: another process started it, or one that was killed left it behind.
 * Nobody but our own server passes for it: it has to know the password, too (SCRAM authenticates both sides).
 */
async function adopt(context: BringUp): Promise<Endpoint | undefined> {
  const { home, log } = context;
  const endpoint = recordedEndpoint(home);
  if (!endpoint) return undefined;
  const ended = (): boolean => runningPid(home) === undefined;
  if (!(await waitUntilReady(context, endpoint, ended))) return undefined;
  log(`adopted the running server${recordedPid(home) === undefined ? '' : ` (pid ${recordedPid(home)})`}`);
  return endpoint;
}

async function start(context: BringUp, binaries: Binaries): Promise<Endpoint> {
  const { home, log } = context;
  const crashed = recordedPid(home) !== undefined;
  for (let attempt = 1; ; attempt += 1) {
    await waitForOrphans(home);
    removeStaleFiles(home);
    const endpoint = await chooseEndpoint(home);
    const logStart = serverLogSize(home);
    const startedAt = performance.now();
    const { child, ended } = launchPostmaster(home, binaries, endpoint, context.distribution.platform);
    let outcome: { reason: Error | undefined } | undefined;
    void ended.then((reason) => (outcome = { reason }));
    try {
      if (await waitUntilReady(context, endpoint, () => outcome !== undefined)) {
        const tookMs = Math.round(performance.now() - startedAt);
        log(`${crashed ? 'recovered' : 'started'} the server (pid ${child.pid}, ${tookMs} ms)`);
        return endpoint;
      }
    } catch (error) {
      child.kill('SIGQUIT'); // nobody would use it, and the next start shall find the field clear
      await ended;
      throw error;
    }
    if (outcome?.reason) throw outcome.reason;
    const output = readServerLog(home, logStart);
    if (attempt >= MAX_STARTS || !isPassing(output)) throw startFailure(context, output);
    await sleep(RESTART_PAUSE_MS);
  }
}

/**
 * Knocks until the server lets the application role in, setting up role and database when they are missing. False when
 * the server has `ended` (or never was).
 */
async function waitUntilReady(context: BringUp, endpoint: Endpoint, ended: () => boolean): Promise<boolean> {
  const { home, database } = context;
  const startedAt = performance.now();
  const logStart = serverLogSize(home);
  for (let provisioned = false; ;) {
    const reception = await knock(home, endpoint, database);
    if (reception === 'ready') return true;
    // A socket is ours wherever its server runs; behind a TCP port there may be anyone.
    if (ended() && (reception === 'absent' || endpoint.kind === 'tcp')) return false;
    if (reception === 'unprovisioned') {
      if (provisioned)
        throw new EmbeddedPostgresStartError(
          home.path,
          'the application role is not let in',
          readServerLog(home, logStart),
        );
      await provision(home, endpoint, database);
      provisioned = true;
      continue;
    }
    const timeoutMs = reception === 'busy' ? RECOVERY_TIMEOUT_MS : SILENCE_TIMEOUT_MS;
    if (performance.now() - startedAt > timeoutMs) {
      throw new EmbeddedPostgresStartError(
        home.path,
        `no answer within ${timeoutMs} ms`,
        readServerLog(home, logStart),
      );
    }
    // Quick at first, because a start takes some 40 ms; a long recovery logs a line for each time we ask.
    await sleep(Math.min(MAX_POLL_MS, POLL_MS + (performance.now() - startedAt) / 20));
  }
}

/** Reasons that go away by themselves: surviving backends (where we cannot see them), a port taken since we looked. */
function isPassing(output: readonly string[]): boolean {
  return output.some((line) => SURVIVORS.test(line) || line.includes('Address already in use'));
}

const SURVIVORS = /pre-existing shared memory block|lock file ".*" already exists/;

function startFailure({ home }: BringUp, output: readonly string[]): Error {
  if (output.some((line) => SURVIVORS.test(line))) return new EmbeddedPostgresOrphansError(home.path, []);
  return explainOutput(home.path, output) ?? new EmbeddedPostgresStartError(home.path, 'postgres ended', output);
}

import {
  appendFileSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from 'node:fs';

import type { ClusterHome } from './cluster-home.js';
import { unlessMissing } from './system-errors.js';

const MAX_BYTES = 4 * 1024 * 1024;
const KEPT_BYTES = 64 * 1024;
const QUOTED_LINES = 12;

/** Opens the log for the server to write to (appending, so that it can be cut while in use). The caller closes it. */
export function openServerLog(home: ClusterHome): number {
  const { O_APPEND, O_CREAT, O_WRONLY } = constants;
  const descriptor = openSync(home.log, O_WRONLY | O_APPEND | O_CREAT, 0o600);
  if (home.serverUser) fchownSync(descriptor, home.serverUser.uid, home.serverUser.gid);
  return descriptor;
}

export function serverLogSize(home: ClusterHome): number {
  return unlessMissing(() => statSync(home.log).size) ?? 0;
}

/** Answers to our own knocking, which would push what matters out of the quoted lines. */
const NOT_YET =
  /FATAL: +the database system is (starting up|not yet accepting connections|in recovery mode|shutting down)/;

/** The last lines written at or after byte `from`. */
export function readServerLog(home: ClusterHome, from: number): string[] {
  const position = Math.max(from, serverLogSize(home) - KEPT_BYTES);
  return lastLines(unlessMissing(() => readFrom(home.log, position)) ?? '');
}

/** The last non-empty lines of `text`, as many as belong into an error message. */
export function lastLines(text: string): string[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line.trim() !== '' && !NOT_YET.test(line))
    .slice(-QUOTED_LINES);
}

/**
 * Keeps the log small: beyond 4 MiB only its end stays. PostgreSQL's own rotation bounds the age of log files, not their
 * size, and its log collector would be one more process.
 */
export function trimServerLog(home: ClusterHome): void {
  const size = serverLogSize(home);
  if (size <= MAX_BYTES) return;
  const end = readFrom(home.log, size - KEPT_BYTES);
  truncateSync(home.log);
  appendFileSync(home.log, end);
}

function readFrom(path: string, position: number): string {
  const descriptor = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(Math.max(0, fstatSync(descriptor).size - position));
    return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, position));
  } finally {
    closeSync(descriptor);
  }
}

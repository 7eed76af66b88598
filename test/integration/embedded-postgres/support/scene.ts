import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Client, type ClientConfig } from 'pg';

import { EmbeddedPostgres } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/embedded-postgres.js';
import { identifyProcess } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/processes.js';
import { Child } from './child.js';
import { childProgram, temporaryDirectory } from './sandbox.js';

/** Permissions do not bind root: what depends on them is tested through a child of this user. */
export const NOBODY = { uid: 65_534, gid: 65_534 };
export const asRoot = process.getuid?.() === 0;

/** Directories, servers and processes of one test; `end()` leaves nothing of them. */
export class Scene {
  private readonly directories: string[] = [];
  private readonly children: Child[] = [];
  private readonly servers: EmbeddedPostgres[] = [];
  /** What the servers opened by this process logged. */
  readonly lines: string[] = [];

  directory(): string {
    const path = temporaryDirectory();
    this.directories.push(path);
    return path;
  }

  /** Also a place to be cleaned up. */
  adopt(directory: string): string {
    this.directories.push(directory);
    return directory;
  }

  async open(directory: string, database?: string): Promise<EmbeddedPostgres> {
    const server = await EmbeddedPostgres.open({ directory, database, log: (line) => void this.lines.push(line) });
    this.servers.push(server);
    return server;
  }

  child(checkout: string, user: { uid?: number; gid?: number } = {}): Child {
    const child = new Child(childProgram(checkout), { cwd: checkout, ...user });
    this.children.push(child);
    return child;
  }

  async end(): Promise<void> {
    await Promise.all(this.children.splice(0).map((child) => child.kill()));
    await Promise.all(this.servers.splice(0).map((server) => server.close().catch(() => undefined)));
    for (const directory of this.directories.splice(0)) {
      for (const home of [directory, join(directory, 'pg')]) await killPostmaster(home).catch(() => undefined);
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    }
  }
}

export async function query<T = Record<string, unknown>>(server: ClientConfig | string, sql: string): Promise<T[]> {
  const client = new Client(server);
  await client.connect();
  try {
    return (await client.query(sql)).rows as T[];
  } finally {
    await client.end();
  }
}

export function postmasterPid(home: string): number {
  return Number.parseInt(readFileSync(join(home, 'data/postmaster.pid'), 'utf8'), 10);
}

export const isAlive = (pid: number): boolean => identifyProcess(pid) !== undefined;

export async function killPostmaster(home: string): Promise<void> {
  const pid = postmasterPid(home);
  process.kill(pid, 'SIGKILL');
  await waitFor(() => !isAlive(pid));
}

export async function waitFor(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    await sleep(2);
  }
}

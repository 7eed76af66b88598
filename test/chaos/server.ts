import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { EmbeddedPostgres } from '@nestor/orchestrator';
import { Client, type ClientConfig } from 'pg';
import { resolveClusterHome } from '../../libs/orchestrator/src/persistence/embedded-postgres/cluster-home.js';
import { identifyProcess } from '../../libs/orchestrator/src/persistence/embedded-postgres/processes.js';
import { APPLICATION_ROLE, SUPERUSER } from '../../libs/orchestrator/src/persistence/embedded-postgres/roles.js';

const GONE_WITHIN_MS = 60_000;

/** A PostgreSQL server that belongs to the harness: it goes down and comes up when the harness says so, and never else. */
export class ChaosServer {
  private isDown = false;
  private cameUpAt = 0;

  private constructor(
    private readonly directory: string,
    private embedded: EmbeddedPostgres,
    private readonly superuser: ClientConfig,
  ) {}

  static async open(home: string): Promise<ChaosServer> {
    const directory = join(home, 'postgres');
    const embedded = await EmbeddedPostgres.open({ directory });
    const password = readFileSync(resolveClusterHome(directory, () => undefined).superuserPassword, 'utf8').trim();
    const server = new ChaosServer(directory, embedded, { ...embedded.connection, user: SUPERUSER, password });
    // When a row was committed is more than the row itself says; the checker is told by the server.
    await server.administer((client) => client.query('alter system set track_commit_timestamp = on'));
    await server.restart(0);
    return server;
  }

  /** How an application reaches the database that nothing is done to. */
  get url(): string {
    return this.embedded.url;
  }

  /** How the checker reaches the database. */
  get superuserUrl(): string {
    return this.urlOf(SUPERUSER, String(this.superuser.password));
  }

  /** Whether it did not take connections at some time since then (milliseconds since 1970). */
  wasDownSince(ms: number): boolean {
    return this.isDown || this.cameUpAt > ms;
  }

  /** A role that is told apart from the others by its name and may do what the application role may; gives its URL. */
  async createLogin(role: string): Promise<string> {
    const password = randomBytes(16).toString('hex');
    await this.administer(async (client) => {
      await client.query(`create role ${role} login password '${password}' in role ${APPLICATION_ROLE}`);
      await client.query(`alter role ${role} set role = ${APPLICATION_ROLE}`);
    });
    return this.urlOf(role, password);
  }

  /** Ends every session of a login, as a network does that breaks. */
  async cut(role: string): Promise<void> {
    await this.administer((client) =>
      client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role]),
    );
  }

  /** Stops the server in order (open transactions are rolled back) and starts it again. */
  restart(downMs: number): Promise<void> {
    return this.interrupt('SIGINT', downMs);
  }

  /** Kills the postmaster and starts a new one, which recovers what was committed. */
  crash(downMs: number): Promise<void> {
    return this.interrupt('SIGKILL', downMs);
  }

  /** Connects as superuser for as long as the work takes. */
  async administer<T>(work: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ ...this.superuser, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined); // the query in progress, or the next one, reports it
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  close(): Promise<void> {
    return this.embedded.close();
  }

  private async interrupt(signal: NodeJS.Signals, downMs: number): Promise<void> {
    const pid = Number.parseInt(readFileSync(join(this.directory, 'data', 'postmaster.pid'), 'utf8'), 10);
    const identity = identifyProcess(pid);
    this.isDown = true;
    process.kill(pid, signal);
    const deadline = performance.now() + GONE_WITHIN_MS;
    while (identity !== undefined && identifyProcess(pid) === identity) {
      if (performance.now() > deadline) throw new Error(`The postmaster (pid ${pid}) does not end.`);
      await pause(5);
    }
    await pause(downMs);
    const restarted = await EmbeddedPostgres.open({ directory: this.directory });
    this.isDown = false;
    this.cameUpAt = Date.now();
    const before = this.embedded;
    this.embedded = restarted;
    await before.close(); // no longer the last user, so the server stays
  }

  private urlOf(user: string, password: string): string {
    const url = new URL(this.embedded.url);
    url.username = user;
    url.password = password;
    return url.toString();
  }
}

import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedPostgres } from '@nestor/orchestrator';
import { Client } from 'pg';

/** The server that is measured on: an embedded one, gone afterwards, or one that is there anyway. */
export class BenchServer {
  private readonly databases = new Set<string>();
  private closing: Promise<void> | null = null;

  private constructor(
    /** For whoever creates and drops databases. */
    readonly url: string,
    private readonly stop: () => Promise<void>,
  ) {}

  static async open(url: string | undefined): Promise<BenchServer> {
    if (url !== undefined) return new BenchServer(url, () => Promise.resolve());
    const home = mkdtempSync(join(tmpdir(), 'nestor-bench-'));
    chmodSync(home, 0o755); // root starts the server as another user, who has to get in
    const removeHome = () => rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    try {
      const embedded = await EmbeddedPostgres.open({ directory: join(home, 'postgres') });
      return new BenchServer(embedded.url, async () => {
        await embedded.close();
        removeHome();
      });
    } catch (error) {
      removeHome();
      throw error;
    }
  }

  /** Gives the work a database of its own and drops it afterwards. */
  async withDatabase<T>(work: (url: string) => Promise<T>): Promise<T> {
    const name = `nestor_bench_${process.pid}_${randomBytes(4).toString('hex')}`;
    await this.administer(`create database ${name}`);
    this.databases.add(name);
    try {
      return await work(this.urlOf(name));
    } finally {
      if (!this.closing) await this.drop(name);
    }
  }

  close(): Promise<void> {
    this.closing ??= Promise.all([...this.databases].map((name) => this.drop(name)))
      .then(() => undefined)
      .finally(() => this.stop());
    return this.closing;
  }

  private async drop(name: string): Promise<void> {
    await this.administer(`drop database if exists ${name} with (force)`);
    this.databases.delete(name);
  }

  private urlOf(database: string): string {
    const url = new URL(this.url);
    url.pathname = `/${database}`;
    return url.toString();
  }

  private async administer(statement: string): Promise<void> {
    await withClient(this.url, (client) => client.query(statement));
  }
}

/** Connects for as long as the work takes. */
export async function withClient<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connected(url);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A connection that ends between two queries is the next query's error, not the end of this process. */
export async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

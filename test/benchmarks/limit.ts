import { randomBytes } from 'node:crypto';
import type { Client } from 'pg';
import { connected, withClient } from './server.js';

const SINGLE_ROWS = 1_000;
const BATCHED_ROWS = 50_000;
const BATCH = 1_000;
const LANES = 2;

const INSERT_ONE = {
  name: 'insert_one',
  text: 'insert into bench_limit (id, run, name, state, result) values ($1, $2, $3, $4, $5)',
};
const INSERT_BATCH = {
  name: 'insert_batch',
  text: `insert into bench_limit (id, run, name, state, result)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[])`,
};

type Row = readonly [id: string, run: string, name: string, state: string, result: string];

/**
 * What plain `pg` does on this server: the least that recording a task costs, one row, durable, without any of the rest.
 *
 * As good as we know how: prepared statements, connections that stay open, ids in the order of the index, an empty table
 * at the start of every round, and nothing but the inserts is timed.
 */
export class Limit {
  private constructor(
    private readonly url: string,
    private readonly lanes: readonly Client[],
  ) {}

  static async withLimit<T>(url: string, work: (limit: Limit) => Promise<T>): Promise<T> {
    await withClient(url, (client) =>
      client.query(
        `create table bench_limit (
           id uuid primary key, run uuid, name text, state text, result jsonb, at timestamptz default now())`,
      ),
    );
    const lanes: Client[] = [];
    try {
      while (lanes.length < LANES) lanes.push(await connected(url));
      return await work(new Limit(url, lanes));
    } finally {
      await Promise.all(lanes.map((lane) => lane.end()));
    }
  }

  /** Rows a second, one commit each, on one connection: the limit of work that waits for each of its steps. */
  async sequential(): Promise<number> {
    const rows = await this.prepare(SINGLE_ROWS);
    const [lane] = this.lanes as readonly [Client];
    return perSecond(rows.length, async () => {
      for (const row of rows) await lane.query({ ...INSERT_ONE, values: [...row] });
    });
  }

  /** Rows a second, a thousand to a commit, on two connections: the limit of work that can be put together. */
  async concurrent(): Promise<number> {
    const rows = await this.prepare(BATCHED_ROWS);
    const batches = Array.from({ length: rows.length / BATCH }, (_, index) =>
      columnsOf(rows.slice(index * BATCH, (index + 1) * BATCH)),
    );
    const queue = batches.values();
    return perSecond(rows.length, () =>
      Promise.all(
        this.lanes.map(async (lane) => {
          for (const columns of queue) await lane.query({ ...INSERT_BATCH, values: columns });
        }),
      ),
    );
  }

  private async prepare(count: number): Promise<Row[]> {
    await withClient(this.url, (client) => client.query('truncate bench_limit'));
    const [run] = orderedIds(1);
    return orderedIds(count).map((id, index) => [id, run!, `task-${index}`, 'COMPLETED', '{}']);
  }
}

export async function perSecond(count: number, work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (count * 1_000) / (performance.now() - startedAt);
}

function columnsOf(rows: readonly Row[]): unknown[] {
  return [0, 1, 2, 3, 4].map((column) => rows.map((row) => row[column]));
}

/** UUIDs that sort as they were made, as ours do; random ones would cost the index more. */
function orderedIds(count: number): string[] {
  const time = Date.now().toString(16).padStart(12, '0');
  return Array.from({ length: count }, (_, index) => {
    const number = index.toString(16).padStart(6, '0'); // more than 12 bits: these are made in one go
    const random = randomBytes(8).toString('hex');
    return `${time.slice(0, 8)}-${time.slice(8)}-7${number.slice(0, 3)}-8${number.slice(3)}-${random.slice(0, 12)}`;
  });
}

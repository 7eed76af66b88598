import { Client } from 'pg';

import { EmbeddedPostgres } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/embedded-postgres.js';

/** What {@link Child} asks of its process. */
export type Request =
  | { readonly do: 'open'; readonly directory: string }
  | { readonly do: 'query'; readonly sql: string }
  | { readonly do: 'close' }
  | { readonly do: 'disconnect' };

export type Answer =
  { readonly value: unknown } | { readonly failure: { readonly code?: string; readonly message: string } };

let postgres: EmbeddedPostgres | undefined;
const lines: string[] = [];

async function perform(request: Request): Promise<unknown> {
  switch (request.do) {
    case 'open':
      postgres = await EmbeddedPostgres.open({ directory: request.directory, log: (line) => void lines.push(line) });
      return { connection: postgres.connection, url: postgres.url, lines };
    case 'query':
      return query(request.sql);
    case 'close':
      await postgres?.close();
      return lines;
    case 'disconnect':
      // From here on the process ends by itself if nothing of ours keeps it alive.
      process.disconnect();
      return undefined;
  }
}

async function query(sql: string): Promise<unknown> {
  const client = new Client(postgres?.connection);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

process.on('message', (request: Request) => {
  perform(request).then(
    (value) => process.connected && process.send?.({ value } satisfies Answer),
    (error: Error & { code?: string }) =>
      process.send?.({ failure: { code: error.code, message: error.message } } satisfies Answer),
  );
});

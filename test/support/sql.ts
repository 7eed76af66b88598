import { Client } from 'pg';
import type { TestDatabase } from '@nestor/testing';

/** Runs one statement on a connection of its own, as somebody else than the application would. */
export async function sql<Row = Record<string, unknown>>(
  database: Pick<TestDatabase, 'url'>,
  text: string,
  parameters: readonly unknown[] = [],
): Promise<Row[]> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query(text, [...parameters])).rows as Row[];
  } finally {
    await client.end();
  }
}

import { createTestDatabase, type TestDatabase } from '@nestor/testing';

/** A database of its own for a test file: on the server of `DATABASE_URL`, or on the embedded one. */
export function testDatabase(): Promise<TestDatabase> {
  const server = process.env.DATABASE_URL;
  return createTestDatabase(server ? { server } : {});
}

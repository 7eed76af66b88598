// What tests of an application that embeds the orchestrator may use.
export { createTestDatabase } from './test-database.js';
export type { TestDatabase, TestDatabaseOptions } from './test-database.js';

// What tests of an application that embeds the orchestrator may use.
export { createTestDatabase } from './test-database.js';
export type { TestDatabase, TestDatabaseOptions } from './test-database.js';
export { createTestingOrchestrator } from './testing-orchestrator.js';
export type { TestingOrchestrator, TestingOrchestratorOptions } from './testing-orchestrator.js';
export type { TestingClock } from './clock/testing-clock.js';
export { asRun } from './as-run.js';
export type { PretendedRun } from './as-run.js';
export { RunsLeakedError } from './runs-leaked.error.js';
export { nestorMatchers } from './matchers/nestor-matchers.js';
export type { ExpectedCalls, NestorMatchers } from './matchers/nestor-matchers.js';
export type { ExpectedError } from './matchers/expected-error.js';
export type { Within } from './matchers/run-under-test.js';

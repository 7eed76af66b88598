// What an application that embeds the orchestrator may use. What is not listed here is private.
export { Flow } from './authoring/flow.decorator.js';
export { Task } from './authoring/task.decorator.js';
export type { FlowOptions, TaskOptions } from './authoring/flow.options.js';
export { branch } from './authoring/branch.js';
export { currentRun } from './authoring/current-run.js';
export type { CurrentRun } from './authoring/current-run.js';
export { RunLogger } from './authoring/run-logger.js';
export { InvalidConcurrencyError, mapTasks } from './authoring/map-tasks.js';
export type { MapTasksOptions } from './authoring/map-tasks.js';
export { InvalidOptionError } from './authoring/resolve-options.js';

export { OrchestratorModule } from './orchestrator.module.js';
export type {
  EmbeddedDatabaseOptions,
  OrchestratorExtras,
  OrchestratorOptions,
  ServerDatabaseOptions,
} from './orchestrator.options.js';

export { isPassing } from './persistence/connection/postgres-errors.js';
export { prepareDatabase } from './prepare-database.js';
export type { PrepareDatabaseOptions } from './prepare-database.js';
export { EmbeddedPostgres } from './persistence/embedded-postgres/embedded-postgres.js';
export type { EmbeddedConnection, EmbeddedPostgresOptions } from './persistence/embedded-postgres/embedded-postgres.js';

export { Flows, FlowRunHandle, FlowStarter } from './runtime/flows.service.js';
export { InvalidRunOptionError } from './runtime/engine/new-run-options.js';
export type { NewRunOptions } from './runtime/engine/new-run-options.js';
export { FlowRuns, InvalidQueryError, WaitTimeoutError } from './runtime/flow-runs.service.js';
export { Readiness } from './runtime/readiness.service.js';
export type { ListFlowRuns } from './runtime/flow-runs.service.js';
export type { FlowRunView, FlowRunWithHistory, TaskRunView } from './runtime/flow-run.view.js';

export { RunControl } from './runtime/control/run-control.service.js';
export type { ForcedState, ForkOptions } from './runtime/control/run-control.service.js';
export { RunControlRefusedError, TaskRunNotFoundError } from './runtime/control/run-control-errors.js';
export { LeaseLostError } from './runtime/leases/run-lease.js';
export { ReplayDivergedError } from './runtime/replay/replay-diverged.error.js';
export { aesPayloads } from './runtime/payloads/aes-payloads.js';
export type { AesKey } from './runtime/payloads/aes-payloads.js';
export { DirectoryPayloadStore } from './runtime/payloads/directory-payload-store.js';
export { gzipPayloads } from './runtime/payloads/gzip-payloads.js';
export type { PayloadCodec } from './runtime/payloads/payload-codec.js';
export type { PayloadOptions } from './runtime/payloads/payload-options.js';
export type { PayloadContext, PayloadStore } from './runtime/payloads/payload-store.js';
export {
  InvalidPayloadOptionError,
  PayloadCodecFailedError,
  PayloadCodecUnknownError,
  PayloadNotFoundError,
  PayloadStoreFailedError,
  PayloadStoreUnknownError,
  PayloadTooLargeError,
} from './runtime/payloads/payload-errors.js';

export {
  EngineStoppingError,
  NoCurrentRunError,
  OutcomeUnknownError,
  RunCancelledError,
  RunCrashedError,
  RunEndedError,
  RunHandedBackError,
  RunSuspendedError,
  RunTimeoutError,
} from './runtime/engine/engine-errors.js';
export {
  AmbiguousEngineError,
  FlowNotRegisteredError,
  FlowRegisteredTwiceError,
  TaskRegisteredTwiceError,
} from './runtime/registry/registry-errors.js';
export { FlowRunNotFoundError } from './records/flow-runs/flow-run-not-found.error.js';
export { JournalClosedError } from './runtime/transitions/journal.js';
export {
  DatabaseLoginError,
  DatabaseMissingError,
  DatabaseTooOldError,
  DatabaseUnreachableError,
  DirectDatabaseUrlError,
  InvalidDatabaseUrlError,
  InvalidSchemaNameError,
  SchemaPermissionError,
  SchemaTooNewError,
} from './persistence/connection/database-errors.js';

export {
  classCodec,
  ClassRegisteredTwiceError,
  dateOfInstant,
  formatInstant,
  InvalidClassCodecError,
  InvalidDurationError,
  isTerminal,
  MalformedEncodingError,
  msBetween,
  OrchestratorError,
  RecordedError,
  StateType,
  UnserialisableValueError,
} from '@nestor/core';
export type { ClassCodec, Duration, ErrorClass, Instant, State } from '@nestor/core';

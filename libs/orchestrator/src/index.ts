// What an application that embeds the orchestrator may use. What is not listed here is private.
export { Schedule } from './authoring/schedule.decorator.js';
export { Flow } from './authoring/flow.decorator.js';
export { Task } from './authoring/task.decorator.js';
export type { FlowHookOptions, HookOptions } from './authoring/hook.options.js';
export type { CompletionContext, FailureContext, HookContext, HookedRun } from './runtime/hooks/hook-context.js';
export type { FlowOptions } from './authoring/flow.options.js';
export type { RunOptions } from './authoring/run.options.js';
export type { TaskOptions, TransactionalOptions } from './authoring/task.options.js';
export type { FailedAttempt, FailureCondition } from './runtime/registry/definitions.js';
export { withOptions } from './authoring/with-options.js';
export type { ReturningStates, WithOptions } from './authoring/with-options.js';
export { InvalidMappingError, submit, submitAll } from './authoring/submit.js';
export type { SubmitOptions, Submitting, SubmittingAll } from './authoring/submit.js';
export { NotDecoratedError } from './authoring/call-view.js';
export { asCompleted, TaskFuture, TaskFutures, wait } from './authoring/task-future.js';
export { delay } from './authoring/delay.js';
export type { Delaying } from './authoring/delay.js';
export { allowFailure, opaque, quote, unmapped } from './authoring/upstream.js';
export type { Annotated, Resolvable } from './authoring/upstream.js';
export { RunState } from './authoring/run-state.js';
export { cancelledState, completedState, failedState } from './authoring/returned-states.js';
export type { ReturnedState } from './authoring/returned-states.js';
export { withTags } from './authoring/tags.js';
export { transaction } from './authoring/transaction.js';
export type { TransactionHandle, TransactionOptions } from './authoring/transaction.js';
export type { TransactionContext } from './runtime/transactions/transaction-hooks.js';
export type { CommitMode } from './runtime/transactions/transaction.js';
export { Block, SecretField } from './authoring/block.decorator.js';
export { branch } from './authoring/branch.js';
export { currentRun } from './authoring/current-run.js';
export type { CurrentRun } from './authoring/current-run.js';
export { RunLogger } from './runtime/engine/run-logger.js';
export { InvalidConcurrencyError, mapTasks } from './authoring/map-tasks.js';
export type { MapTasksOptions } from './authoring/map-tasks.js';
export { pause, suspend } from './authoring/inputs/pause.js';
export type { PauseInputOptions, PauseOptions } from './authoring/inputs/pause.js';
export { receiveInput, receiveInputs, sendInput } from './authoring/inputs/messages.js';
export type { ReceivedInput, ReceiveInputOptions } from './authoring/inputs/messages.js';
export type { InitialInput, InputOf, InputType } from './authoring/inputs/input-type.js';
export { concurrency, rateLimit } from './authoring/concurrency.js';
export { sleep, sleepUntil } from './authoring/sleep.js';
export type { SleepOptions } from './authoring/sleep.js';
export { InvalidOptionError } from './authoring/resolve-options.js';

export { OrchestratorModule } from './orchestrator.module.js';
export type {
  CacheOptions,
  EmbeddedDatabaseOptions,
  OrchestratorExtras,
  OrchestratorOptions,
  ServerDatabaseOptions,
} from './orchestrator.options.js';

export { isPassing } from './persistence/connection/postgres-errors.js';
export { deployCheck } from './deploy-check.js';
export type { DeployCheckOptions } from './deploy-check.js';
export { DeployChecks } from './runtime/rehearsal/deploy-checks.service.js';
export type { DeployReport, DivergentRun, UncheckedRun } from './runtime/rehearsal/deploy-report.js';
export { prepareDatabase } from './prepare-database.js';
export type { PrepareDatabaseOptions } from './prepare-database.js';
export type { SchemaLevels } from './persistence/migrating/schema-levels.js';
export { EmbeddedPostgres } from './persistence/embedded-postgres/embedded-postgres.js';
export type { EmbeddedConnection, EmbeddedPostgresOptions } from './persistence/embedded-postgres/embedded-postgres.js';
export {
  EmbeddedPostgresBusyError,
  EmbeddedPostgresClusterMissingError,
  EmbeddedPostgresDirectoryError,
  EmbeddedPostgresDiskFullError,
  EmbeddedPostgresNotCreatedError,
  EmbeddedPostgresOrphansError,
  EmbeddedPostgresPasswordError,
  EmbeddedPostgresPrivilegeError,
  EmbeddedPostgresStartError,
  EmbeddedPostgresStopError,
  EmbeddedPostgresUnavailableError,
  EmbeddedPostgresUnknownUserError,
  EmbeddedPostgresVersionError,
} from './persistence/embedded-postgres/errors.js';

export { Flows, FlowQueue, FlowStarter } from './runtime/flows.service.js';
export { FlowRunHandle } from './runtime/flow-run-handle.js';
export type { EnqueueOptions } from './runtime/scheduling/enqueue-options.js';
export type { DueOptions } from './runtime/scheduling/due-options.js';
export type { BatchOptions } from './runtime/scheduling/batch-options.js';
export type { SharingOptions } from './runtime/scheduling/sharing.js';
export {
  NoTransactionError,
  OtherDatabaseError,
  QueuePermissionError,
} from './runtime/borrowed-transactions/borrowed-transaction-errors.js';
export { BatchedCall, BatchResultError } from './runtime/batched-call.js';
export { InvalidRunOptionError } from './runtime/engine/new-run-options.js';
export type { NewRunOptions } from './runtime/engine/new-run-options.js';
export { InvalidParametersError } from './runtime/parameters/invalid-parameters.error.js';
export type { ParameterProblem } from './runtime/parameters/parameter-problem.js';
export type { JsonSchema, ParameterSchema } from './runtime/parameters/parameter-schema.js';
export { Results } from './runtime/results.service.js';
export { FlowRuns } from './runtime/flow-runs.service.js';
export { InvalidQueryError } from './runtime/queries.js';
export { BackgroundTasks, TaskDelayer } from './runtime/background/background-tasks.service.js';
export type { BackgroundTaskStatus } from './runtime/background/background-tasks.service.js';
export type { BackgroundTaskOptions, ServedTasks } from './runtime/background/background-settings.js';
export { BackgroundTaskHandle } from './runtime/background/background-task-handle.js';
export type { DelayOptions } from './runtime/background/delay-options.js';
export type { BackgroundTaskCounts, DeadLetter } from './records/task-queue/task-queue-rows.js';
export {
  BackgroundTaskCrashedError,
  BackgroundTaskNotFoundError,
  DeadLetterNotFoundError,
} from './runtime/background/background-task-errors.js';
export { WaitTimeoutError } from './runtime/wait-timeout.error.js';
export { Readiness } from './runtime/readiness.service.js';
export type { ListFlowRuns } from './runtime/flow-runs.service.js';
export type { NamedProcess, RunDiagnosis, RunReason } from './runtime/diagnosis/run-reason.js';
export type { OtherRun, SlotHolder } from './records/flow-runs/run-situations.repository.js';
export type { FlowRunView, FlowRunWithHistory, TaskRunView } from './runtime/flow-run.view.js';
export { toMermaid } from './runtime/run-graph.js';
export type { RunGraph, RunGraphEdge, RunGraphNode } from './runtime/run-graph.js';

export { Deployments } from './runtime/deployments/deployments.service.js';
export type {
  BackfillOptions,
  DeploymentVersionView,
  ListDeployments,
} from './runtime/deployments/deployments.service.js';
export type { BackfilledTime } from './runtime/deployments/backfills.service.js';
export type { DeploymentRunOptions } from './runtime/deployments/deployment-runner.service.js';
export type { DeploymentView, FairnessView, ScheduleView } from './runtime/deployments/deployment-view.js';
export type { SavedDeployment } from './runtime/deployments/deployment-writer.service.js';
export type { MethodParameters } from './runtime/deployments/method-parameters.js';
export type {
  DeploymentConcurrency,
  DeploymentFairness,
  DeploymentOptions,
  DeploymentWorkPool,
  ParametersByName,
  ScheduleCatchUp,
  ScheduleOptions,
  ScheduleOverlap,
  ScheduleSettings,
} from './runtime/deployments/deployment-options.js';
export {
  DeploymentNotFoundError,
  DeploymentParametersError,
  DuplicateScheduleError,
  InvalidDeploymentError,
  ScheduleNotFoundError,
  TooManyRunsError,
} from './runtime/deployments/deployment-errors.js';
export { RunControl } from './runtime/control/run-control.service.js';
export type { ForcedState, ForkOptions } from './runtime/control/run-control.service.js';
export { InvalidRecordingError, RunRecordings } from './runtime/rehearsal/run-recordings.service.js';
export type {
  DifferentCall,
  RecordedRunCall,
  RecordedValue,
  ReplayReport,
  RunRecording,
} from './runtime/rehearsal/run-recording.js';
export { RunControlRefusedError, TaskRunNotFoundError } from './runtime/control/run-control-errors.js';
export { RunRequest } from './runtime/nest/run-request.js';
export { RunInputs } from './runtime/inputs/run-inputs.service.js';
export type { SendInputOptions } from './runtime/inputs/run-input.js';
export {
  InputSenderUnknownError,
  InputTimeoutError,
  InvalidRunInputError,
  NotInFlowBodyError,
  RunInputNotFoundError,
  PauseTimeoutError,
} from './runtime/inputs/input-errors.js';
export { LeaseLostError } from './runtime/leases/run-lease.js';
export { ReplayDivergedError } from './runtime/replay/replay-diverged.error.js';
export { aesPayloads } from './runtime/payloads/aes-payloads.js';
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

export { Artifacts } from './runtime/artifacts/artifacts.service.js';
export type { Artifact, ArtifactOptions } from './runtime/artifacts/artifacts.service.js';
export type { ArtifactTable } from './runtime/artifacts/artifact-data.js';
export { ArtifactNotFoundError, InvalidArtifactError } from './runtime/artifacts/artifact-errors.js';
export { Variables } from './runtime/variables/variables.service.js';
export type { SetVariableOptions, Variable } from './runtime/variables/variables.service.js';
export {
  InvalidVariableError,
  VariableExistsError,
  VariableNotFoundError,
} from './runtime/variables/variable-errors.js';
export { block, json, template, variable } from './runtime/references/reference.js';
export type { Referable, ReferableParameters, Reference } from './runtime/references/reference.js';
export { InvalidReferenceError, ReferenceUnresolvedError } from './runtime/references/reference-errors.js';
export { ConcurrencyLimits } from './runtime/concurrency/concurrency-limits.service.js';
export type { ConcurrencyLimit, SlotInUse } from './runtime/concurrency/concurrency-limits.service.js';
export type { ConcurrencyLimitSettings } from './runtime/concurrency/limit-settings.js';
export type { SlotHold } from './runtime/concurrency/slot-blocking.js';
export { ConcurrencyLeases } from './runtime/concurrency/concurrency-leases.service.js';
export type { LeaseRequest, SlotLease, SlotsRefused } from './runtime/concurrency/concurrency-leases.service.js';
export { InvalidSlotOptionError } from './runtime/concurrency/slot-options.js';
export type { ConcurrencyOptions, RateLimitOptions } from './runtime/concurrency/slot-options.js';
export {
  ConcurrencyLimitExistsError,
  ConcurrencyLimitNotFoundError,
  ConcurrencyTimeoutError,
  InvalidConcurrencyLimitError,
  NoSlotDecayError,
  SlotsLostError,
  TooManySlotsError,
  UnknownConcurrencyLimitError,
} from './runtime/concurrency/concurrency-errors.js';
export { Blocks } from './runtime/blocks/blocks.service.js';
export type { BlockDocument } from './runtime/blocks/blocks.service.js';
export type { BlockClass, BlockOptions } from './runtime/blocks/block-definition.js';
export {
  BlockExistsError,
  BlockNotFoundError,
  InvalidBlockError,
  NotABlockError,
} from './runtime/blocks/block-errors.js';
export { Secret } from './runtime/secrets/secret.js';
export type { AesKey } from './runtime/secrets/aes-key-ring.js';
export type { SecretKeyOption } from './runtime/secrets/secret-key-option.js';
export { SecretKeyFileError, SecretKeyMissingError, SecretUnreadableError } from './runtime/secrets/secret-errors.js';
export { Events } from './runtime/events/events.service.js';
export type { EmittedEvent, EventResource, RelatedEventResource } from './runtime/events/event-content.js';
export { InvalidEventError } from './runtime/events/event-errors.js';
export { WorkPools } from './runtime/work-pools/work-pools.service.js';
export type { WorkPool, WorkPoolOptions, WorkQueue, WorkQueueOptions } from './runtime/work-pools/work-pool-values.js';
export {
  DefaultWorkQueueError,
  InvalidJobVariablesError,
  InvalidWorkPoolError,
  WorkPoolExistsError,
  WorkPoolNotFoundError,
  WorkQueueExistsError,
  WorkQueueNotFoundError,
} from './runtime/work-pools/work-pool-errors.js';
export { executeHandedOver } from './run-handed-over.js';
export { BaseWorker } from './runtime/workers/base-worker.js';
export type { HandedLease, JobEnd, PoolSettings, WorkerJob } from './runtime/workers/base-worker.js';
export { TearDownNotFoundError, TearDowns } from './runtime/workers/tear-downs.service.js';
export type { DeadTearDown } from './runtime/workers/tear-downs.service.js';
export { Loops } from './runtime/loops/loops.service.js';
export type { LoopStatus } from './runtime/loops/loop-status.js';
export { InvalidPushRequestError, PushFailedError } from './runtime/workers/push/push-errors.js';
export { HandedOverRuns, RunNotHandedOverError } from './runtime/workers/handed-over-runs.service.js';
export { RunOnce, WorkerRunsOnError } from './runtime/recovery/run-once.service.js';
export { WorkerApplicationError } from './runtime/workers/isolation/application-module.js';
export { WorkerTypeUnknownError } from './runtime/workers/worker-types.service.js';
export { FlowRunActiveError, FlowRunWithinAnotherError } from './runtime/retention/deletion-errors.js';
export type { DeletionRefusal } from './runtime/retention/deletion-errors.js';
export type { DeletedFlowRuns } from './runtime/retention/run-deletions.service.js';
export type { RetentionOptions } from './runtime/retention/retention-settings.js';
export { SERVICE_NAMES } from './runtime/services/service-settings.js';
export type { ServiceOptions } from './runtime/services/service-settings.js';
export type { WorkerOptions, WorkerPoolOptions } from './runtime/workers/worker-settings.js';
export type { JsonValue } from './persistence/storable-json.js';

export {
  EngineStoppingError,
  MissingResultError,
  NoCurrentRunError,
  OutcomeUnknownError,
  PausedRunError,
  RunCancelledError,
  RunCrashedError,
  RunEndedError,
  ReturnedStateError,
  RunHandedBackError,
  RunSuspendedError,
  RunTimeoutError,
  UnfinishedRunError,
  UpstreamError,
} from './runtime/engine/engine-errors.js';
export {
  AmbiguousEngineError,
  EnhancerNotAppliedError,
  FlowNotRegisteredError,
  FlowRegisteredTwiceError,
  OrchestratorImportedTwiceError,
  OrchestratorMissingError,
  TaskNotRegisteredError,
  TaskRegisteredTwiceError,
} from './runtime/registry/registry-errors.js';
export {
  CallInTransactionError,
  TransactionalDataSourceDeniedError,
  TransactionalDataSourceElsewhereError,
  TransactionalDataSourceError,
  TransactionalDataSourceMissingError,
  TransactionalDataSourceTypeError,
  TransactionEndedError,
  TransactionMisuseError,
} from './runtime/transactional/transactional-errors.js';
export type { TransactionIsolation } from './runtime/transactional/transaction-settings.js';
export { FlowRunNotFoundError } from './records/flow-runs/flow-run-not-found.error.js';
export { JournalClosedError } from './runtime/transitions/journal-closed.error.js';
export {
  DatabaseLoginError,
  DatabaseMissingError,
  DatabaseTooOldError,
  DatabaseUnreachableError,
  DirectDatabaseUrlError,
  InvalidDatabaseUrlError,
  InvalidSchemaNameError,
  SchemaPermissionError,
  SchemaNotMigratedError,
  SchemaTooNewError,
} from './persistence/connection/database-errors.js';

export {
  combined,
  DEFAULT_CACHE_POLICY,
  excluding,
  FLOW_PARAMETERS,
  INPUTS,
  NO_CACHE,
  RUN_ID,
  TASK_SOURCE,
  UncacheableInputError,
} from '@nestor/core';
export type { CachePolicy } from '@nestor/core';
export {
  classCodec,
  ClassRegisteredTwiceError,
  dateOfInstant,
  durationMs,
  exponentialBackoff,
  formatInstant,
  instantOfMs,
  InvalidClassCodecError,
  InvalidCronError,
  InvalidDurationError,
  InvalidIntervalError,
  InvalidRetryPolicyError,
  InvalidRRuleError,
  InvalidScheduleError,
  isTerminal,
  MalformedEncodingError,
  msBetween,
  OrchestratorError,
  RecordedError,
  RRuleTooLargeError,
  RunNameTemplateError,
  ScheduleNeverFiresError,
  StateType,
  UnknownTimeZoneError,
  UnserialisableValueError,
} from '@nestor/core';
export type {
  Backoff,
  BaseJobTemplate,
  ClassCodec,
  CronSchedule,
  CronScheduleInput,
  Duration,
  ErrorClass,
  ExponentialBackoffOptions,
  Instant,
  IntervalSchedule,
  IntervalScheduleInput,
  ProposedState,
  RetryDelay,
  RRuleSchedule,
  RRuleScheduleInput,
  Schedule as ScheduleTimes,
  State,
} from '@nestor/core';

// For nestor/testing, which puts others in their place; no part of what is promised.
export { withPretendedRun } from './authoring/current-run.js';
export type { ScopeServices } from './runtime/engine/run-scope.js';
export { EngineScopeServices } from './runtime/engine/scope-services.js';
export { WaitingRuns } from './runtime/recovery/waiting-runs.service.js';
export { AttemptInspector } from './runtime/rehearsal/attempt-inspector.js';
export type { SettledAttempt } from './runtime/rehearsal/attempt-inspector.js';
export { excerptOf } from './runtime/rehearsal/differences.js';
export { callKey } from './runtime/rehearsal/rehearse.js';
export { Rehearsals } from './runtime/rehearsal/rehearsals.service.js';
export { DatabaseClock } from './runtime/transitions/database-clock.js';

// For nestor/schedule, which adds what decorators of another package say; no part of what is promised.
export { ScheduledMethods } from './authoring/scheduled-methods.js';
export type { ProviderMethod, ScheduledMethod, ScheduledMethodReader } from './authoring/scheduled-methods.js';
export { isPassive } from './runtime/passive-start.js';
export { isIsolated } from './runtime/workers/isolation/isolated.js';

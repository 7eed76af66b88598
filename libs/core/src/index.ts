export { cacheKey, UncacheableInputError } from './caching/cache-key.js';
export type { CacheMaterial } from './caching/cache-key.js';
export {
  combined,
  DEFAULT_CACHE_POLICY,
  excluding,
  FLOW_PARAMETERS,
  INPUTS,
  NO_CACHE,
  RUN_ID,
  TASK_SOURCE,
} from './caching/cache-policy.js';
export type { CachePolicy } from './caching/cache-policy.js';
export { OrchestratorError } from './errors/orchestrator-error.js';
export {
  jobConfiguration,
  jobTemplateProblems,
  jobVariableProblems,
  jobVariables,
} from './job-templates/job-template.js';
export type { BaseJobTemplate } from './job-templates/job-template.js';
export { canonicalText } from './json/canonical-text.js';
export { classCodec, ClassRegisteredTwiceError, ClassRegistry, InvalidClassCodecError } from './json/class-registry.js';
export type { ClassCodec, ErrorClass } from './json/class-registry.js';
export { decode } from './json/decode.js';
export type { DecodeOptions } from './json/decode.js';
export { encode } from './json/encode.js';
export type { EncodeOptions } from './json/encode.js';
export { MalformedEncodingError } from './json/malformed-encoding-error.js';
export { readEnvelope, writeEnvelope } from './json/payload-envelope.js';
export type { PayloadEnvelope } from './json/payload-envelope.js';
export { RecordedError } from './json/recorded-error.js';
export { encodingVersion } from './json/tags.js';
export { UnserialisableValueError } from './json/unserialisable-value-error.js';
export { schemaProblems, withDefaults } from './json-schema/schema-problems.js';
export type { SchemaProblem } from './json-schema/schema-problems.js';
export { formatRunName, RunNameTemplateError } from './parameters/run-name.js';
export { backgroundTaskRunPolicy } from './policies/background-task-run.policy.js';
export { clientSideTaskRunPolicy, coreTaskRunPolicy } from './policies/core-task-run.policy.js';
export { flowRunPolicy } from './policies/flow-run.policy.js';
export { forcedFlowRunPolicy } from './policies/forced-flow-run.policy.js';
export { forcedTaskRunPolicy } from './policies/forced-task-run.policy.js';
export { markLateFlowRunPolicy } from './policies/mark-late-flow-run.policy.js';
export { nativeTaskRunPolicy } from './policies/native-task-run.policy.js';
export { exponentialBackoff } from './retries/exponential-backoff.js';
export type { Backoff, ExponentialBackoffOptions } from './retries/exponential-backoff.js';
export { InvalidRetryPolicyError } from './retries/invalid-retry-policy.error.js';
export { spread } from './retries/retry-delay.js';
export { retryPolicyOf } from './retries/retry-policy.js';
export type { RetryDelay, RetryOptions } from './retries/retry-policy.js';
export { checkedSchedule } from './schedules/checked-schedule.js';
export { instantsOf } from './schedules/instants-of.js';
export type { ScheduleWindow } from './schedules/instants-of.js';
export { jittered } from './schedules/jittered.js';
export type {
  CronSchedule,
  CronScheduleInput,
  IntervalSchedule,
  IntervalScheduleInput,
  RRuleSchedule,
  RRuleScheduleInput,
  Schedule,
  ScheduleInput,
} from './schedules/schedule.js';
export {
  InvalidCronError,
  InvalidIntervalError,
  InvalidRRuleError,
  InvalidScheduleError,
  RRuleTooLargeError,
  ScheduleNeverFiresError,
  UnknownTimeZoneError,
} from './schedules/schedule-errors.js';
export { checkedTimeZone, zoneNamed } from './schedules/zone.js';
export type { Zone, Zones } from './schedules/zone.js';
export { cancellationDeadline, stateOfCancelledChild } from './states/cancellation.js';
export type { Child } from './states/cancellation.js';
export { returnedState, stateAmong } from './states/returned-state.js';
export { isTerminal, STATE_TYPES, StateType } from './states/state.js';
export type { ProposedState, State, StateData, StateDetails } from './states/state.js';
export {
  awaitingConcurrencySlot,
  awaitingResume,
  awaitingRetry,
  cached,
  cancelled,
  cancelling,
  completed,
  crashed,
  failed,
  infrastructurePending,
  late,
  notReady,
  paused,
  pending,
  resuming,
  retrying,
  rolledBack,
  running,
  scheduled,
  submitting,
  suspended,
  timedOut,
} from './states/states.js';
export { durationMs, InvalidDurationError } from './time/duration.js';
export type { Duration } from './time/duration.js';
export {
  addMicros,
  addMs,
  dateOfInstant,
  formatInstant,
  instantOfMicros,
  instantOfMs,
  msBetween,
  parseInstant,
} from './time/instant.js';
export type { Instant } from './time/instant.js';
export { advanceFlowRun, advanceTaskRun } from './transitions/advance.js';
export { decide } from './transitions/decide.js';
export type { NeedsFacts, Verdict } from './transitions/decide.js';
export { mirroredState, stateOfRun } from './transitions/state-of-run.js';
export {
  dueAgain,
  type FlowRun,
  type FlowRunPolicy,
  type RetryPolicy,
  type Run,
  type TaskRun,
} from './transitions/run.js';
export type { Effect } from './transitions/effect.js';
export type { DeploymentConcurrency, FactName, Facts, FlowRunOfTask, TagLimit } from './transitions/facts.js';
export type { PolicyChange, Policy, Rule, Ruling, Transition } from './transitions/transition.js';

export { OrchestratorError } from './errors/orchestrator-error.js';
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
export { flowRunPolicy } from './policies/flow-run.policy.js';
export { nativeTaskRunPolicy } from './policies/native-task-run.policy.js';
export { isTerminal, STATE_TYPES, StateType } from './states/state.js';
export type { ProposedState, State, StateDetails } from './states/state.js';
export {
  awaitingRetry,
  cancelled,
  cancelling,
  completed,
  crashed,
  failed,
  paused,
  pending,
  retrying,
  running,
  scheduled,
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
export type { FlowRun, FlowRunPolicy, RetryPolicy, Run, TaskRun } from './transitions/run.js';
export type { Facts, FactName, PolicyChange, Policy, Rule, Ruling, Transition } from './transitions/transition.js';

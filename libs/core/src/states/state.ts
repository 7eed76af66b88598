import type { Instant } from '../time/instant.js';

/** What kind of situation a run is in. The names, values and meanings are those of the HTTP contract. */
export const StateType = {
  Scheduled: 'SCHEDULED',
  Pending: 'PENDING',
  Running: 'RUNNING',
  Paused: 'PAUSED',
  Cancelling: 'CANCELLING',
  Completed: 'COMPLETED',
  Failed: 'FAILED',
  Crashed: 'CRASHED',
  Cancelled: 'CANCELLED',
} as const;
export type StateType = (typeof StateType)[keyof typeof StateType];

/** Every state type, in the order a run usually meets them. */
export const STATE_TYPES: readonly StateType[] = Object.values(StateType);

/** Facts that belong to one state and not to its run. Absent means "does not apply". */
export interface StateDetails {
  /** The run that is in the state. Told by `stateOfRun`, not stored: the row of the state says it already. */
  readonly flowRunId?: string;
  /** Likewise for a task run; of a subflow's state, the task run that stands for it in its parent. */
  readonly taskRunId?: string;
  /** Of a task run that stands for a subflow: the run of that subflow. */
  readonly childFlowRunId?: string;
  /** When a `SCHEDULED` run may start. */
  readonly scheduledTime?: Instant;
  /** What the outcome of a task run is remembered under, for later runs with the same key. */
  readonly cacheKey?: string;
  /** Until when it is remembered; absent: without end. */
  readonly cacheExpiration?: Instant;
  /** Run anyway, although an outcome is remembered, and replace that. */
  readonly refreshCache?: boolean;
  /** A background task: whoever serves it takes it from a queue. */
  readonly deferred?: boolean;
  /** Where the parameters of a background task are kept. */
  readonly taskParametersId?: string;
  /** The result cannot be followed through other results (a small constant, for example). */
  readonly untrackableResult?: boolean;
  /** When a `PAUSED` run that nobody resumed fails. */
  readonly pauseTimeout?: Instant;
  /** A `PAUSED` run that left its process and starts anew when it is resumed. */
  readonly pauseReschedule?: boolean;
  /** The process that executed the run died; absent when it handed the run back. */
  readonly interrupted?: boolean;
  /** Names a pause of a run, so that it fires once however often the run comes past it. */
  readonly pauseKey?: string;
  /** The keys under which the input that a pause asks for is described and kept. */
  readonly runInputKeyset?: Readonly<Record<string, string>>;
  /** `false` on a failure that no retry would mend. */
  readonly retriable?: boolean;
  /** Equal on a proposal and on the current state when the proposal was sent twice. */
  readonly transitionId?: string;
  /** W3C trace context of whoever proposed the state. */
  readonly traceparent?: string;
  /** The lease of the slot that the run holds of its deployment's concurrency limit. */
  readonly deploymentConcurrencyLeaseId?: string;
}

/**
 * What a state of a foreign client carries of the outcome of its run. States of native runs carry nothing: their outcome
 * is a column of the run.
 */
export interface StateData {
  /** Whether the value refers to a result that is kept, so that losing the state would lose the result. */
  readonly persisted: boolean;
  /** As the client sent it. Rules hand it on and never look into it. */
  readonly value: unknown;
}

/** A state somebody wants a run to enter; the transition service gives it its id and its time. */
export interface ProposedState {
  readonly type: StateType;
  /** What people see: `Late`, `AwaitingRetry`, `Cached`… Free text over the type. */
  readonly name: string;
  readonly message: string | null;
  readonly details: StateDetails;
  /** Absent when the state carries no outcome. */
  readonly data?: StateData;
}

/** A state a run has entered: one element of its history, never changed again. */
export interface State extends ProposedState {
  readonly id: string;
  /** Strictly increasing along the history of a run. */
  readonly timestamp: Instant;
}

const TERMINAL: ReadonlySet<StateType> = new Set([
  StateType.Completed,
  StateType.Failed,
  StateType.Crashed,
  StateType.Cancelled,
]);

/** Whether a run in such a state has ended, unless somebody starts it again. */
export function isTerminal(type: StateType): boolean {
  return TERMINAL.has(type);
}

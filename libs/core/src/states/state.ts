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
  readonly flowRunId?: string;
  readonly taskRunId?: string;
  readonly childFlowRunId?: string;
  /** When a `SCHEDULED` run may start. */
  readonly scheduledTime?: Instant;
  /** Equal on a proposal and on the current state when the proposal was sent twice. */
  readonly transitionId?: string;
  /** `false` on a failure that no retry would mend. */
  readonly retriable?: boolean;
  /** A `PAUSED` run that left its process and starts anew when it is resumed. */
  readonly pauseReschedule?: boolean;
  /** The process that executed the run died; `false` or absent when it handed the run back. */
  readonly interrupted?: boolean;
}

/** A state somebody wants a run to enter; the transition service gives it its id and its time. */
export interface ProposedState {
  readonly type: StateType;
  /** What people see: `Late`, `AwaitingRetry`, `Cached`… Free text over the type. */
  readonly name: string;
  readonly message: string | null;
  readonly details: StateDetails;
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

import type { Instant } from '../time/instant.js';
import { StateType, type ProposedState, type StateDetails } from './state.js';

interface StateOptions {
  readonly name?: string;
  readonly message?: string | null;
  readonly details?: StateDetails;
}

function stateOf(type: StateType, defaultName: string, options: StateOptions = {}): ProposedState {
  return { type, name: options.name ?? defaultName, message: options.message ?? null, details: options.details ?? {} };
}

/** Waiting for `scheduledTime` and for somebody to claim it. */
export function scheduled(options: StateOptions & { readonly scheduledTime: Instant }): ProposedState {
  const details = { ...options.details, scheduledTime: options.scheduledTime };
  return stateOf(StateType.Scheduled, 'Scheduled', { ...options, details });
}

/** A failed attempt that will be tried again at `scheduledTime`; the message is that of the failure. */
export function awaitingRetry(options: StateOptions & { readonly scheduledTime: Instant }): ProposedState {
  return scheduled({ ...options, name: 'AwaitingRetry' });
}

/** Begun in a process that no longer executes it; whoever claims it goes on from what is recorded. */
export function awaitingResume(options: StateOptions & { readonly scheduledTime: Instant }): ProposedState {
  return scheduled({ ...options, name: 'AwaitingResume' });
}

/** Claimed; about to run. */
export function pending(options?: StateOptions): ProposedState {
  return stateOf(StateType.Pending, 'Pending', options);
}

/** The author's method is executing. */
export function running(options?: StateOptions): ProposedState {
  return stateOf(StateType.Running, 'Running', options);
}

/** The author's method is executing again after a failure. */
export function retrying(options?: StateOptions): ProposedState {
  return running({ ...options, name: 'Retrying' });
}

/** The author's method returned. */
export function completed(options?: StateOptions): ProposedState {
  return stateOf(StateType.Completed, 'Completed', options);
}

/** The author's code did not do what it promised: it threw. */
export function failed(options?: StateOptions): ProposedState {
  return stateOf(StateType.Failed, 'Failed', options);
}

/** The author's code took longer than its timeout. */
export function timedOut(options?: StateOptions): ProposedState {
  return failed({ ...options, name: 'TimedOut' });
}

/** Our process or its surroundings failed, not the author's code. */
export function crashed(options?: StateOptions): ProposedState {
  return stateOf(StateType.Crashed, 'Crashed', options);
}

/** Somebody asked for an end; the run has not got there yet. */
export function cancelling(options?: StateOptions): ProposedState {
  return stateOf(StateType.Cancelling, 'Cancelling', options);
}

/** Ended on request. */
export function cancelled(options?: StateOptions): ProposedState {
  return stateOf(StateType.Cancelled, 'Cancelled', options);
}

/** Stopped until somebody resumes it. */
export function paused(options?: StateOptions): ProposedState {
  return stateOf(StateType.Paused, 'Paused', options);
}

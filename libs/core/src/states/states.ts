import type { Instant } from '../time/instant.js';
import { StateType, type ProposedState, type StateData, type StateDetails } from './state.js';

interface StateOptions {
  readonly name?: string;
  readonly message?: string | null;
  readonly details?: StateDetails;
  readonly data?: StateData;
}

interface ScheduledOptions extends StateOptions {
  readonly scheduledTime: Instant;
}

function stateOf(type: StateType, defaultName: string, options: StateOptions = {}): ProposedState {
  return {
    type,
    name: options.name ?? defaultName,
    message: options.message ?? null,
    details: options.details ?? {},
    ...(options.data && { data: options.data }),
  };
}

/** Waiting for `scheduledTime` and for somebody to claim it. */
export function scheduled(options: ScheduledOptions): ProposedState {
  const details = { ...options.details, scheduledTime: options.scheduledTime };
  return stateOf(StateType.Scheduled, 'Scheduled', { ...options, details });
}

/** A failed attempt that will be tried again at `scheduledTime`; the message is that of the failure. */
export function awaitingRetry(options: ScheduledOptions): ProposedState {
  return scheduled({ ...options, name: 'AwaitingRetry' });
}

/** Was due and has not been claimed since. It is as due as before: `scheduledTime` stays. */
export function late(options: ScheduledOptions): ProposedState {
  return scheduled({ ...options, name: 'Late' });
}

/** A run whose process died while it ran. Somebody else goes on where it stopped, which is no new attempt. */
export function awaitingResume(options: ScheduledOptions): ProposedState {
  return scheduled({ ...options, name: 'AwaitingResume' });
}

/** The deployment runs as often as it may at once; the run asks for a slot again at `scheduledTime`. */
export function awaitingConcurrencySlot(options: ScheduledOptions): ProposedState {
  return scheduled({ ...options, name: 'AwaitingConcurrencySlot' });
}

/** A suspended run that somebody resumed; it starts anew in whichever process claims it. */
export function resuming(options: ScheduledOptions): ProposedState {
  return scheduled({ ...options, name: 'Resuming' });
}

/** Claimed; about to run. */
export function pending(options?: StateOptions): ProposedState {
  return stateOf(StateType.Pending, 'Pending', options);
}

/** Claimed; handed to the infrastructure that is to run it. */
export function submitting(options?: StateOptions): ProposedState {
  return pending({ ...options, name: 'Submitting' });
}

/** Claimed; its infrastructure is starting. */
export function infrastructurePending(options?: StateOptions): ProposedState {
  return pending({ ...options, name: 'InfrastructurePending' });
}

/** Cannot start, because something it depends on did not complete. */
export function notReady(options?: StateOptions): ProposedState {
  return pending({ ...options, name: 'NotReady' });
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

/** Completed without running: an earlier run with the same cache key left its outcome. */
export function cached(options?: StateOptions): ProposedState {
  return completed({ ...options, name: 'Cached' });
}

/** Completed, and undone since, because the transaction around it failed. */
export function rolledBack(options?: StateOptions): ProposedState {
  return completed({ ...options, name: 'RolledBack' });
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

/** Stopped, and out of its process: when somebody resumes it, it starts anew wherever it is claimed. */
export function suspended(options?: StateOptions): ProposedState {
  return paused({ ...options, name: 'Suspended', details: { ...options?.details, pauseReschedule: true } });
}

/** The same state with some of its details set. */
export function withDetails(state: ProposedState, details: StateDetails): ProposedState {
  return { ...state, details: { ...state.details, ...details } };
}

import type { State } from '../states/state.js';
import type { Instant } from '../time/instant.js';

/** What every run has, whether of a flow or of a task: the facts rules look at and bookkeeping keeps. */
export interface Run {
  readonly id: string;
  /** `null` only before the first state. */
  readonly state: State | null;
  /** How often it entered `RUNNING`; the current attempt while it runs. */
  readonly runCount: number;
  readonly expectedStartTime: Instant | null;
  readonly nextScheduledStartTime: Instant | null;
  readonly startTime: Instant | null;
  readonly endTime: Instant | null;
  /** Microseconds spent in `RUNNING`, of the visits that are over. */
  readonly totalRunTimeUs: number;
  readonly policy: RetryPolicy;
}

/** When a failed run is tried again. */
export interface RetryPolicy {
  /** Attempts after the first one. */
  readonly retries: number;
  /** The pause before attempt 2, 3, …; the last entry repeats; empty means none. */
  readonly retryDelaysMs: readonly number[];
}

export interface FlowRun extends Run {
  readonly kind: 'flow-run';
  readonly policy: FlowRunPolicy;
  readonly parentTaskRunId: string | null;
}

export interface FlowRunPolicy extends RetryPolicy {
  /** Set while a paused or suspended run comes back, so that coming back does not count as an attempt. */
  readonly resuming: boolean;
  /** Pauses that have fired already. */
  readonly pauseKeys: readonly string[];
  /** Who waits for a retry: the process that runs it, or whoever claims it next. */
  readonly retryType: 'in_process' | 'reschedule' | null;
  /** How often it was taken over from a process that died. */
  readonly recoveries: number;
  /** How often it may be. */
  readonly maxRecoveries: number;
}

export interface TaskRun extends Run {
  readonly kind: 'task-run';
  /** `null` for a task that was called outside any flow. */
  readonly flowRunId: string | null;
  /** The attempt of the flow run during which this run was last changed. */
  readonly flowRunRunCount: number;
}

/** The delay before the attempt that follows attempt `runCount`; zero when none was asked for. */
export function retryDelayMs(policy: RetryPolicy, runCount: number): number {
  const delays = policy.retryDelaysMs;
  return delays[Math.min(runCount, delays.length) - 1] ?? 0;
}

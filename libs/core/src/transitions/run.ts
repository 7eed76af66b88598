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

/** When a run that was interrupted is due again: it keeps its place before all that were to start after it. */
export function dueAgain({ expectedStartTime }: Run, now: Instant): Instant {
  return expectedStartTime !== null && expectedStartTime < now ? expectedStartTime : now;
}

/** When a failed run is tried again. */
export interface RetryPolicy {
  /** Attempts after the first one. */
  readonly retries: number;
  /** The pause before attempt 2, 3, …; the last entry repeats; empty means none. */
  readonly retryDelaysMs: readonly number[];
  /** How far a pause is spread around its length, as a share of it: 0.3 makes 10 s anything from 7 s to 13 s. Default 0. */
  readonly retryJitter?: number;
  /**
   * Whether the author decides, failure by failure, what is tried again; a failure that is not is proposed with `retriable:
   * false`. Only then does that detail bind a flow run: the Python client sets it on every failure of a flow, and its flows
   * are tried again all the same.
   */
  readonly retryConditionally?: boolean;
}

export interface FlowRun extends Run {
  readonly kind: 'flow-run';
  readonly policy: FlowRunPolicy;
  /** The task run that stands for a subflow in the run that called it; `null` for a run of its own. */
  readonly parentTaskRunId: string | null;
  /** What it is a run of, besides its flow. Absent or `null`: of nothing else. */
  readonly deploymentId?: string | null;
  /** Where it runs, once infrastructure has been started for it. */
  readonly infrastructurePid?: string | null;
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
  /** Whether it began with records taken over from another run. Absent: it did not. */
  readonly isFork?: boolean;
}

export interface TaskRun extends Run {
  readonly kind: 'task-run';
  /** `null` for a task that was called outside any flow. */
  readonly flowRunId: string | null;
  /** The attempt of the flow run during which this run was last changed. */
  readonly flowRunRunCount: number;
  readonly tags?: readonly string[];
}

import { durationMs, isTerminal, StateType, type Duration, type State } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { isPassing } from '../../persistence/connection/postgres-errors.js';
import type { TaskRunEntity } from '../../records/task-runs/task-run.entity.js';
import { TaskRunsRepository } from '../../records/task-runs/task-runs.repository.js';
import { MissingResultError } from '../engine/engine-errors.js';
import { withinMs } from '../engine/wait-until.js';
import { Payloads } from '../payloads/payloads.service.js';
import { WaitTimeoutError } from '../wait-timeout.error.js';
import { BackgroundTaskCrashedError, BackgroundTaskNotFoundError } from './background-task-errors.js';
import { TasksInFlight } from './tasks-in-flight.js';

/** Pauses between looks at a run that another process executes. */
const FIRST_LOOK_MS = 25;
const LAST_LOOK_MS = 1_000;

interface WaitOptions {
  readonly timeout?: Duration;
  /** Whether the transaction that put the run into the queue may still be committed. */
  readonly mayStillCome?: () => boolean;
}

/** Waits for background task runs, whichever process executes them. */
@Injectable()
export class BackgroundTaskOutcomes {
  constructor(
    private readonly taskRuns: TaskRunsRepository,
    private readonly payloads: Payloads,
    private readonly inFlight: TasksInFlight,
  ) {}

  /** The state a run is in; `null` when there is no background task run of that id. */
  async state(taskRunId: string): Promise<State | null> {
    const row = await this.find(taskRunId);
    return row ? ((await this.taskRuns.history(taskRunId)).at(-1) ?? null) : null;
  }

  /** See `BackgroundTaskHandle.result`. */
  async result(taskRunId: string, { timeout, mayStillCome = () => false }: WaitOptions): Promise<unknown> {
    const timeoutMs = timeout === undefined ? Infinity : durationMs(timeout, 'timeout of a background task');
    const deadline = performance.now() + timeoutMs;
    for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(pauseMs * 2, LAST_LOOK_MS)) {
      const mayCome = mayStillCome(); // asked first: it may be committed while we look
      const end = await this.look(taskRunId, mayCome);
      if (end) return this.outcomeOf(end.row, end.outcome);
      const left = deadline - performance.now();
      if (left <= 0) throw new WaitTimeoutError(`Background task run ${taskRunId}`, timeoutMs);
      // Here somebody tells; of other processes' runs only the database does.
      const ended = this.inFlight.endOf(taskRunId);
      await withinMs(ended ?? NEVER, Math.min(ended ? LAST_LOOK_MS : pauseMs, left));
    }
  }

  /**
   * The ended run and its outcome; `undefined` when it has not ended, or when the database is away, which ends no waiting: the
   * run may well go on.
   */
  private async look(
    taskRunId: string,
    mayStillCome: boolean,
  ): Promise<{ readonly row: TaskRunEntity; readonly outcome: unknown } | undefined> {
    try {
      const row = await this.find(taskRunId);
      if (!row && !mayStillCome) throw new BackgroundTaskNotFoundError(taskRunId);
      if (!row?.stateType || !isTerminal(row.stateType)) return undefined;
      return { row, outcome: row.result === null ? undefined : await this.payloads.read(row.result) };
    } catch (error) {
      if (isPassing(error)) return undefined;
      throw error;
    }
  }

  private async find(taskRunId: string): Promise<TaskRunEntity | null> {
    const row = await this.taskRuns.find(taskRunId);
    return row?.parameters ? row : null;
  }

  private outcomeOf({ id, stateType, stateName, result }: TaskRunEntity, outcome: unknown): unknown {
    if (stateType === StateType.Completed) {
      if (result === null) throw new MissingResultError(id);
      return outcome;
    }
    if (result === null) throw new BackgroundTaskCrashedError(id, `it is ${stateName ?? 'gone'}.`);
    throw outcome; // whatever the task threw
  }
}

const NEVER = new Promise<never>(() => undefined);

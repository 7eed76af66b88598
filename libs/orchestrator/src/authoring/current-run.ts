import { AsyncLocalStorage } from 'node:async_hooks';
import { NoCurrentRunError } from '../runtime/engine/engine-errors.js';
import { currentScope } from '../runtime/engine/run-scope.js';
import { drawnValues } from '../runtime/replay/drawn-values.js';
import { RunLogger } from '../runtime/engine/run-logger.js';

/** The run that the code asking is part of. */
export interface CurrentRun {
  /** `null` in a task that was called outside any flow. */
  readonly flowRunId: string | null;
  readonly flowRunName: string | null;
  readonly flowName: string | null;
  /**
   * What the flow run was called with, by name, before it was checked and converted; `null` in a task that was called outside any
   * flow. To be read: it is what the method was given, if that takes one object.
   */
  readonly parameters: Readonly<Record<string, unknown>> | null;
  /** The innermost task run; `null` in the body of a flow. */
  readonly taskRunId: string | null;
  readonly taskRunName: string | null;
  /** Of the innermost run, those of scopes around it included. */
  readonly tags: readonly string[];
  /** Which attempt of the innermost run this is; counts from 1. */
  readonly attempt: number;
  /** Fires when the attempt is over: it timed out, its flow run ended, or the process stops. */
  readonly signal: AbortSignal;
  readonly logger: RunLogger;
  /**
   * The time, in place of `new Date()`: when the run is resumed, the same again. It is kept with the next state of the run.
   * In a task outside any flow it is the time.
   */
  now(): Date;
  /** A UUID (version 7) in place of `randomUUID()`: when the run is resumed, the same again. */
  uuid(): string;
  /** A number from 0 to just under 1 in place of `Math.random()`: when the run is resumed, the same again. */
  random(): number;
}

const pretendedRuns = new AsyncLocalStorage<CurrentRun>();

/** Runs `work` so that {@link currentRun} gives `run` in it, where there is no run: for tests. */
export function withPretendedRun<T>(run: CurrentRun, work: () => T): T {
  return pretendedRuns.run(run, work);
}

/**
 * The run that the code asking is part of, across `await`, timers and whatever else keeps Node's async context.
 *
 * @throws {NoCurrentRunError} outside any flow or task.
 */
export function currentRun(): CurrentRun {
  const scope = currentScope();
  const pretended = scope ? undefined : pretendedRuns.getStore();
  if (pretended) return pretended;
  if (!scope) throw new NoCurrentRunError();
  const { flowRun, flowName, parameters, taskRun } = scope.place;
  return {
    flowRunId: flowRun?.created.id ?? null,
    flowRunName: flowRun?.created.name ?? null,
    flowName,
    parameters,
    taskRunId: taskRun?.created.id ?? null,
    taskRunName: taskRun?.created.name ?? null,
    tags: (taskRun ?? flowRun)?.created.tags ?? [],
    attempt: scope.attempt.number,
    get signal() {
      return scope.attempt.signal;
    },
    logger: new RunLogger((level, message) => scope.log(level, message)),
    ...drawnValues(scope),
  };
}

import { durationMs, type Duration } from '@nestor/core';
import { sleepIn } from '../runtime/engine/durable-sleep.js';
import { quietOnceOver } from '../runtime/engine/in-attempt.js';
import { currentScope } from '../runtime/engine/run-scope.js';
import { InvalidOptionError } from './resolve-options.js';

export interface SleepOptions {
  /**
   * In the method of a flow: if it sleeps for longer than that, the run leaves its process once nothing else of it goes on
   * (no task, no pause, no `receiveInput`, no other sleep without this), and begins again from the top when the sleep is
   * over, in any process. Whoever awaits the flow in this process gets `RunSuspendedError`. What its method awaits besides,
   * such as a request of its own, is not seen, and is cut off. Default: it stays in memory.
   */
  readonly suspendAfter?: Duration;
}

/**
 * Waits that long. In the method of a flow it is durable: when the run goes on elsewhere, it waits for what is left. It ends
 * early when the attempt does; in a task, and outside any run, it is a plain wait.
 *
 * @throws {RunEndedError} and its like when the attempt ends meanwhile: by a time-out, or because somebody cancels the run.
 * @throws {InvalidDurationError}
 */
export function sleep(duration: Duration, options?: SleepOptions): Promise<void> {
  return sleeping((now) => new Date(now.getTime() + durationMs(duration, 'duration of sleep')), options);
}

/**
 * Waits until then, by the clock of the database in the method of a flow, and like {@link sleep} in all else. What is past is not
 * waited for.
 *
 * @throws {InvalidOptionError} when it is no date.
 */
export function sleepUntil(date: Date, options?: SleepOptions): Promise<void> {
  return sleeping(() => {
    if (Number.isNaN(date.getTime())) throw new InvalidOptionError('sleepUntil()', 'date', 'is no date.');
    return date;
  }, options);
}

async function begin(due: (now: Date) => Date, suspendAfter: Duration | undefined): Promise<void> {
  const leaveAfterMs = suspendAfter === undefined ? null : durationMs(suspendAfter, 'suspendAfter of sleep');
  return sleepIn(currentScope(), due, leaveAfterMs);
}

function sleeping(due: (now: Date) => Date, { suspendAfter }: SleepOptions = {}): Promise<void> {
  return quietOnceOver(currentScope()?.attempt, begin(due, suspendAfter));
}

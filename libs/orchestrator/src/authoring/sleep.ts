import { durationMs, type Duration } from '@nestor/core';
import { sleepIn } from '../runtime/engine/durable-sleep.js';
import { quietOnceOver } from '../runtime/engine/in-attempt.js';
import { currentScope } from '../runtime/engine/run-scope.js';
import { InvalidOptionError } from './resolve-options.js';

/**
 * Waits that long. In the method of a flow it is durable: when the run goes on elsewhere, it waits for what is left. It ends
 * early when the attempt does; in a task, and outside any run, it is a plain wait.
 *
 * @throws {RunEndedError} and its like when the attempt ends meanwhile: by a time-out, or because somebody cancels the run.
 * @throws {InvalidDurationError}
 */
export function sleep(duration: Duration): Promise<void> {
  return sleeping((now) => new Date(now.getTime() + durationMs(duration, 'duration of sleep')));
}

/**
 * Waits until then, by the clock of the database in the method of a flow, and like {@link sleep} in all else. What is past is not
 * waited for.
 *
 * @throws {InvalidOptionError} when it is no date.
 */
export function sleepUntil(date: Date): Promise<void> {
  return sleeping(() => {
    if (Number.isNaN(date.getTime())) throw new InvalidOptionError('sleepUntil()', 'date', 'is no date.');
    return date;
  });
}

function sleeping(due: (now: Date) => Date): Promise<void> {
  const scope = currentScope();
  return quietOnceOver(scope?.attempt, sleepIn(scope, due));
}

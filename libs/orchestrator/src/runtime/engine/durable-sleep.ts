import { decode, encode, instantOfMs } from '@nestor/core';
import { SLEEP_VALUE_KIND } from '../inputs/kept-inputs.js';
import { settledInAttempt } from './in-attempt.js';
import type { RunScope } from './run-scope.js';
import { timerUntil } from './wait-until.js';

/**
 * Waits until an instant that is known when the wait begins. In the body of a flow that instant is kept, so that a run which
 * begins again waits for what is left; the run can be paused, suspended and handed back meanwhile.
 *
 * @param due the instant, by the time at which the wait begins.
 * @param leaveAfterMs if it waits for longer than that, the run may leave its process; `null`: it stays.
 * @throws {RunEndedError} and its like when the attempt ends meanwhile.
 */
export async function sleepIn(
  scope: RunScope | undefined,
  due: (now: Date) => Date,
  leaveAfterMs: number | null = null,
): Promise<void> {
  if (!scope) return timerUntil(instantOfMs(due(new Date()).getTime()), () => instantOfMs(Date.now()));
  const { attempt, place } = scope;
  attempt.assertLive();
  const { flowRun, taskRun, services, gate } = place;
  if (!flowRun || taskRun) {
    await services.waitUntil(instantOfMs(due(services.clock()).getTime()), attempt.signal);
    return attempt.assertLive();
  }
  const until = keptDue(scope, due);
  const isLong = leaveAfterMs !== null && until.getTime() - services.clock().getTime() > leaveAfterMs;
  const endWait = services.beginWait(flowRun, isLong ? until : null);
  const letGo = attempt.hold(); // it runs nothing: a suspension need not wait for it
  try {
    await services.waitUntil(instantOfMs(until.getTime()), attempt.signal);
    while (gate?.isClosed && !attempt.ended) await settledInAttempt(gate.passage(), attempt);
  } finally {
    letGo();
    endWait();
  }
  attempt.assertLive();
}

function keptDue({ place, branch }: RunScope, due: (now: Date) => Date): Date {
  const { flowRun, replay, services } = place;
  const key = branch.keyOfValue(SLEEP_VALUE_KIND);
  const recorded = replay?.values.get(key);
  if (recorded !== undefined) return decode(recorded) as Date;
  const until = due(services.clock());
  if (flowRun) services.keepValue(flowRun, key, encode(until));
  return until;
}

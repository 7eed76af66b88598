import type { Attempt } from './attempt.js';
import { callAfter } from './wait-until.js';

/** Resolves when `work` has settled, when the attempt is over, or after `ms`; the caller looks which it was. Never rejects. */
export async function settledInAttempt(
  work: Promise<unknown>,
  { signal }: Attempt,
  ms: number | null = null,
  startTimer: typeof callAfter = callAfter,
): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done);
      stopTimer();
      resolve();
    };
    const stopTimer = ms === null ? (): void => undefined : startTimer(ms, done);
    signal.addEventListener('abort', done);
    work.then(done, done);
  });
}

/**
 * The same promise, which nobody has to await once the attempt is over: Node ends a process in which nobody handles a rejection,
 * and a forgotten `await` must not take all the other runs down.
 */
export function quietOnceOver<T>(attempt: Attempt | undefined, call: Promise<T>): Promise<T> {
  if (!attempt) return call;
  const quiet = new Promise<T>((resolve, reject) => {
    call.then(resolve, (error: unknown) => {
      if (attempt.ended) quiet.catch(() => undefined);
      reject(error);
    });
  });
  return quiet;
}

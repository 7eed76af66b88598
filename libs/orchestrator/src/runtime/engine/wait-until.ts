import { msBetween, type Instant } from '@nestor/core';

/** The longest delay a Node timer takes (2^31 - 1 ms, about 24 days); longer ones would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/**
 * Resolves at an instant of the clock `now`, or as soon as `signal` fires; the caller looks which it was.
 * The clock is asked again when the timer fires: it may have been corrected in the meantime.
 */
export async function timerUntil(instant: Instant, now: () => Instant, signal?: AbortSignal): Promise<void> {
  for (let left = msBetween(now(), instant); left > 0; left = msBetween(now(), instant)) {
    if (signal?.aborted) return;
    await pause(Math.min(Math.ceil(left), MAX_TIMER_MS), signal);
  }
}

/** Resolves after `ms` (no more than a timer takes, 24 days), or as soon as `signal` fires; the caller looks which it was. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
  });
}

/**
 * Calls `callback` once, `ms` from now, however long that is.
 *
 * @returns a function that calls it off.
 */
export function callAfter(ms: number, callback: () => void): () => void {
  let timer: NodeJS.Timeout;
  const sleep = (left: number): void => {
    const next = Math.min(left, MAX_TIMER_MS);
    timer = setTimeout(() => (next < left ? sleep(left - next) : callback()), next);
  };
  sleep(ms);
  return () => clearTimeout(timer);
}

/** Resolves when `work` has settled, or after `ms`, whichever comes first. Never rejects. */
export async function withinMs(work: Promise<unknown>, ms: number): Promise<void> {
  let stopTimer = (): void => undefined;
  const timer = new Promise<void>((resolve) => (stopTimer = callAfter(ms, resolve)));
  await Promise.race([Promise.allSettled([work]), timer]);
  stopTimer();
}

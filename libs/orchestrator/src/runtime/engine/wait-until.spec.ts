import { addMs, instantOfMs, type Instant } from '@nestor/core';
import { callAfter, timerUntil } from './wait-until.js';

const now = (): Instant => instantOfMs(Date.now());
const DAY_MS = 86_400_000;

describe('waiting', () => {
  beforeEach(() => jest.useFakeTimers({ now: 1_800_000_000_000 }));
  afterEach(() => jest.useRealTimers());

  /** Whether a promise has settled by now. */
  function watch(promise: Promise<void>): { done: boolean } {
    const watched = { done: false };
    void promise.then(() => (watched.done = true));
    return watched;
  }

  describe('until an instant', () => {
    it.each([1, 1_500, 60 * DAY_MS])('takes as long as it is away: %d ms', async (ms) => {
      const waiting = watch(timerUntil(addMs(now(), ms), now));
      await jest.advanceTimersByTimeAsync(ms - 1);
      expect(waiting.done).toBe(false);
      await jest.advanceTimersByTimeAsync(1);
      expect(waiting.done).toBe(true);
    });

    it('takes no time when it is past', async () => {
      await timerUntil(addMs(now(), -1), now);
      await timerUntil(now(), now);
      expect(jest.getTimerCount()).toBe(0);
    });

    it('never ends a fraction of a millisecond early', async () => {
      const waiting = watch(timerUntil(addMs(now(), 0.5), now));
      await jest.advanceTimersByTimeAsync(0);
      expect(waiting.done).toBe(false);
      await jest.advanceTimersByTimeAsync(1);
      expect(waiting.done).toBe(true);
    });

    it('goes on when the clock was set back meanwhile', async () => {
      let offsetMs = 0;
      const clock = (): Instant => addMs(now(), offsetMs);
      const waiting = watch(timerUntil(addMs(clock(), 1_000), clock));
      offsetMs = -500;
      await jest.advanceTimersByTimeAsync(1_000);
      expect(waiting.done).toBe(false);
      await jest.advanceTimersByTimeAsync(500);
      expect(waiting.done).toBe(true);
    });

    it('ends when the signal fires, and leaves nothing behind', async () => {
      const controller = new AbortController();
      const waiting = watch(timerUntil(addMs(now(), DAY_MS), now, controller.signal));
      controller.abort();
      await jest.advanceTimersByTimeAsync(0);
      expect(waiting.done).toBe(true);
      expect(jest.getTimerCount()).toBe(0);
    });

    it('does not begin when the signal has fired', async () => {
      await timerUntil(addMs(now(), DAY_MS), now, AbortSignal.abort());
      expect(jest.getTimerCount()).toBe(0);
    });
  });

  describe('to call something', () => {
    it.each([0, 10, 60 * DAY_MS])('takes %d ms, and happens once', async (ms) => {
      let calls = 0;
      callAfter(ms, () => (calls += 1));
      await jest.advanceTimersByTimeAsync(Math.max(0, ms - 1));
      if (ms > 0) expect(calls).toBe(0);
      await jest.advanceTimersByTimeAsync(1 + DAY_MS);
      expect(calls).toBe(1);
    });

    it.each([10, 60 * DAY_MS])('can be called off: %d ms', async (ms) => {
      let calls = 0;
      const stop = callAfter(ms, () => (calls += 1));
      await jest.advanceTimersByTimeAsync(ms - 1);
      stop();
      await jest.advanceTimersByTimeAsync(DAY_MS);
      expect(calls).toBe(0);
      expect(jest.getTimerCount()).toBe(0);
    });
  });
});

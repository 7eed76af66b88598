import { currentScope } from './run-scope.js';
import { callAfter } from './wait-until.js';

/** Counts what was called from outside any run and has not settled. */
export class ActiveCalls {
  private readonly active = new Set<Promise<unknown>>();

  get size(): number {
    return this.active.size;
  }

  /** Calls within a run are part of it; only those from outside have to be waited for. */
  track<T>(call: Promise<T>): Promise<T> {
    if (currentScope()) return call;
    this.active.add(call);
    const forget = (): void => void this.active.delete(call);
    call.then(forget, forget);
    return call;
  }

  /** Waits until nothing is active, neither what was nor what that began; `false` when it takes longer than `ms`. */
  async idleWithin(ms: number): Promise<boolean> {
    let timeIsUp = false;
    let stopTimer = (): void => undefined;
    const timer = new Promise<void>((resolve) => {
      stopTimer = callAfter(ms, () => {
        timeIsUp = true;
        resolve();
      });
    });
    while (this.active.size > 0 && !timeIsUp) await Promise.race([Promise.allSettled(this.active), timer]);
    stopTimer();
    return this.active.size === 0;
  }
}

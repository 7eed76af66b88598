import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Notifier, topicsOf } from '../notifications/notifier.service.js';

/** How long an arrival that nobody told of may go unnoticed. */
const LOOK_AGAIN_MS = 5_000;

/** Tells those who wait for inputs of a run that some may have come. */
@Injectable()
export class InputArrivals implements OnApplicationBootstrap {
  /** By run. */
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(
    private readonly process: ProcessLease,
    private readonly notifier: Notifier,
  ) {}

  onApplicationBootstrap(): void {
    this.process.listen({
      notified: (payload) => {
        if (payload === null) return this.wakeAll(); // some may have been missed
        for (const topic of topicsOf(payload)) if (topic.startsWith('input:')) this.wake(topic.slice(6));
      },
    });
  }

  /** An input of a run is there: tells whoever waits for it here and in other processes. */
  announce(flowRunId: string): void {
    this.wake(flowRunId);
    this.notifier.notify(`input:${flowRunId}`);
  }

  /**
   * Begins to listen, before the caller looks for itself: what comes in between is not missed.
   *
   * @returns `heard` resolves when something may have come, after a few seconds in any case.
   */
  listen(flowRunId: string): { readonly heard: Promise<void>; readonly stop: () => void } {
    let hear = (): void => undefined;
    const heard = new Promise<void>((resolve) => (hear = resolve));
    const timer = setTimeout(hear, LOOK_AGAIN_MS);
    const listeners = this.waiting.get(flowRunId) ?? new Set();
    this.waiting.set(flowRunId, listeners.add(hear));
    const stop = (): void => {
      clearTimeout(timer);
      listeners.delete(hear);
      if (listeners.size === 0 && this.waiting.get(flowRunId) === listeners) this.waiting.delete(flowRunId);
    };
    return { heard, stop };
  }

  private wake(flowRunId: string): void {
    for (const hear of this.waiting.get(flowRunId) ?? []) hear();
  }

  private wakeAll(): void {
    for (const listeners of this.waiting.values()) for (const hear of listeners) hear();
  }
}

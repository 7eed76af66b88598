import type { Attempt } from '../engine/attempt.js';
import { callAfter } from '../engine/wait-until.js';
import { SlotsLostError } from './concurrency-errors.js';
import type { HeldSlots } from './held-slots.js';
import type { SlotHold } from './slot-blocking.js';

/** Code that runs while it holds slots. */
export class HeldBlock implements SlotHold {
  private readonly controller = new AbortController();
  private isLost = false;
  private cutOff: (reason: Error) => void = () => undefined;

  /**
   * @param attempt the one around the code.
   * @param graceMs how long the code may take to settle once the attempt is over; then the slots are given back without it.
   */
  constructor(
    readonly held: HeldSlots,
    private readonly attempt: Attempt | null,
    private readonly abortsWhenLost: boolean,
    private readonly graceMs: number,
  ) {}

  get limits(): readonly string[] {
    return this.held.taken.map(({ name }) => name);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Settles as the work does, or earlier: when the slots are lost, or when it outlives its attempt for too long. */
  async during<T>(work: (hold: SlotHold) => Promise<T>): Promise<T> {
    const cut = new Promise<never>((_, reject) => (this.cutOff = reject));
    const { attempt } = this;
    let stopTimer = (): void => undefined;
    const onEnd = (): void => {
      const reason = attempt?.endError ?? new SlotsLostError(this.limits);
      this.controller.abort(reason);
      stopTimer = callAfter(this.graceMs, () => this.cutOff(reason));
    };
    attempt?.signal.addEventListener('abort', onEnd);
    if (attempt?.ended) onEnd();
    try {
      return await Promise.race([work(this), cut]);
    } finally {
      attempt?.signal.removeEventListener('abort', onEnd);
      stopTimer();
    }
  }

  /** @returns whether that is news. */
  lose(): boolean {
    if (this.isLost) return false;
    this.isLost = true;
    if (!this.abortsWhenLost) return true;
    const reason = new SlotsLostError(this.limits);
    this.controller.abort(reason);
    this.cutOff(reason);
    return true;
  }
}

import { Injectable } from '@nestjs/common';
import type { HeldSlots } from '../../concurrency/held-slots.js';
import { LimitedTags } from '../../concurrency/limited-tags.service.js';
import { Slots } from '../../concurrency/slots.service.js';
import type { LiveTaskRun } from '../../transitions/live-run.js';
import type { Begun } from './task-call.js';

/** Slots of the limits on tags, which task runs hold while they are `RUNNING`. */
@Injectable()
export class TaskSlots {
  private readonly held = new WeakMap<LiveTaskRun, HeldSlots>();

  constructor(
    private readonly limitedTags: LimitedTags,
    private readonly slots: Slots,
  ) {}

  /** Whether the run may start only when it has slots. Most have no tags, and most tags no limits. */
  areNeeded({ created }: LiveTaskRun): boolean {
    return this.limitsOf(created).length > 0;
  }

  /**
   * Takes a slot of each limit on its tags, in line; `null` where there are none, or it has them.
   *
   * @throws {TooManySlotsError} when a limit is 0.
   */
  take({ live, execution: { around } }: Begun): Promise<void> | null {
    if (this.held.has(live)) return null;
    const names = this.limitsOf(live.created);
    return names.length === 0 ? null : this.takeAll(live, names, around);
  }

  /** Gives them back, once it is recorded that it runs no more. Never rejects. */
  release(live: LiveTaskRun): Promise<void> | null {
    const held = this.held.get(live);
    if (!held) return null;
    this.held.delete(live);
    return this.slots.release(held);
  }

  private async takeAll(
    live: LiveTaskRun,
    names: readonly string[],
    attempt: Begun['execution']['around'],
  ): Promise<void> {
    const { id, flowRunId } = live.created;
    const held = await this.slots.acquire({ ...ONE_OF_EACH, names }, { attempt, flowRunId, taskRunId: id });
    if (held) this.held.set(live, held);
  }

  /** What stands for a subflow does not run itself: what is within it would wait for it, and it for that. */
  private limitsOf({ tags, taskKey }: LiveTaskRun['created']): readonly string[] {
    if (tags.length === 0 || taskKey.startsWith('flow:')) return NONE;
    return this.limitedTags.limitsOf(tags);
  }
}

const NONE: readonly string[] = [];
const ONE_OF_EACH = {
  slots: 1,
  isRate: false,
  isStrict: false,
  timeoutMs: null,
  maxRetries: null,
  leaseMs: null,
  onLeaseLost: 'warn',
  isSilent: true,
} as const;

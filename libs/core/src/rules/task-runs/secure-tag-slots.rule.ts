import { spread } from '../../retries/retry-delay.js';
import { StateType } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { abort, amend, pass, wait, type Rule } from '../../transitions/transition.js';

/** The longest pause before a task run asks for its slots again, and the pause where nobody knows how long slots are held. */
const MAX_WAIT_MS = 10_000;
/** Runs that were turned away together come back apart. */
const WAIT_JITTER = 0.3;

/** A task run with limited tags runs only while it holds a slot of each; without them all it waits, holding none. */
export const secureTagSlots: Rule<TaskRun> = {
  name: 'secure-tag-slots',
  from: 'any',
  to: [StateType.Running],
  needs: ({ run }) => (run.tags?.length ? ['tagLimits', 'random'] : []),
  decide({ run }, { tagLimits = [], random }) {
    if (!run.tags?.length || tagLimits.length === 0) return pass();
    const closed = tagLimits.find(({ limit }) => limit === 0);
    if (closed) return abort(`The concurrency limit of tag "${closed.tag}" is 0: nothing with it is to run at all.`);

    const full = tagLimits.filter(({ slotFree }) => !slotFree);
    if (full.length === 0)
      return amend({ effects: [{ kind: 'take-tag-slots', tags: tagLimits.map(({ tag }) => tag) }] });
    const usualMs = Math.max(...full.map(({ averageOccupancyMs = MAX_WAIT_MS }) => averageOccupancyMs));
    const retryAfterMs = Math.ceil(spread(Math.min(usualMs, MAX_WAIT_MS), WAIT_JITTER, random ?? 0.5));
    const tags = full.map(({ tag }) => `"${tag}"`).join(', ');
    return wait(Math.max(1, retryAfterMs), `No slot is free of the concurrency limit of ${tags}.`);
  },
};

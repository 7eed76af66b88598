import { awaitingRetry, pending, scheduled } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { TaskRun } from '../../transitions/run.js';
import { enqueueScheduledTask } from './enqueue-scheduled-task.rule.js';

const scheduledTime = instantOfMs(0);
const details = { deferred: true };

const effectsOf = (proposed = scheduled({ scheduledTime, details })) => {
  const verdict = decide([enqueueScheduledTask], { run: { state: null } as TaskRun, proposed, now: scheduledTime }, {});
  return 'effects' in verdict && verdict.effects;
};

describe('enqueue-scheduled-task', () => {
  it('puts a background task into the queue of its task, and a retry into one of its own', () => {
    expect(effectsOf()).toEqual([{ kind: 'enqueue-task', queue: 'scheduled' }]);
    expect(effectsOf(awaitingRetry({ scheduledTime, details }))).toEqual([{ kind: 'enqueue-task', queue: 'retry' }]);
  });

  it('leaves what is no background task or not scheduled where it is', () => {
    expect(effectsOf(scheduled({ scheduledTime }))).toEqual([]);
    expect(effectsOf(pending({ details }))).toEqual([]);
  });
});

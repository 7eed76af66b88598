import { STATE_TYPES, StateType, type State } from '../../states/state.js';
import { completed, retrying, running } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { TaskRun } from '../../transitions/run.js';
import { renameReruns } from './rename-reruns.rule.js';

const verdictOf = (runCount: number, currentName: string, proposed = running()) =>
  decide(
    [renameReruns],
    {
      run: {
        runCount,
        state: { type: StateType.Scheduled, name: currentName, details: {} } as unknown as State,
      } as TaskRun,
      proposed,
      now: instantOfMs(0),
    },
    {},
  );

describe('rename-reruns', () => {
  it.each([
    ['the first attempt', 0, 'Pending', running(), 'Running'],
    ['the first attempt under a name of its own', 0, 'Pending', running({ name: 'Warming' }), 'Warming'],
    ['an attempt after a delayed retry', 1, 'AwaitingRetry', running(), 'Retrying'],
    ['a later attempt that is proposed as a retry', 1, 'Running', retrying(), 'Rerunning'],
    ['any other later attempt', 1, 'Pending', running(), 'Rerunning'],
    ['a later attempt under a name of its own', 4, 'Scheduled', running({ name: 'Warming' }), 'Rerunning'],
  ])('names %s: after %i attempts, from %s [O20]', (_, runCount, currentName, proposed, name) => {
    expect(verdictOf(runCount, currentName, proposed)).toMatchObject({ kind: 'accept', state: { name } });
  });

  it('changes nothing but the name', () => {
    const proposed = running({ message: 'again', details: { transitionId: 't' } });
    expect(verdictOf(1, 'AwaitingRetry', proposed)).toMatchObject({
      kind: 'accept',
      state: { ...proposed, name: 'Retrying' },
      policy: {},
    });
  });

  it('names a later attempt whatever state it comes from, also none', () => {
    const names = [null, ...STATE_TYPES].map((type) => {
      const run = { runCount: 1, state: type && { type, name: type, details: {} } } as TaskRun;
      const verdict = decide([renameReruns], { run, proposed: running(), now: instantOfMs(0) }, {});
      return verdict.kind === 'accept' && verdict.state.name;
    });
    expect(new Set(names)).toEqual(new Set(['Rerunning']));
  });

  it('leaves every state but RUNNING its name', () => {
    expect(verdictOf(3, 'Running', completed())).toMatchObject({ state: { name: 'Completed' } });
  });
});

import { STATE_TYPES, type StateType } from '../../states/state.js';
import { running } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { TaskRun } from '../../transitions/run.js';
import { copyTaskParametersId } from './copy-task-parameters-id.rule.js';

const idAfter = (from: StateType | null, details: object, proposed = running()) => {
  const run = { state: from && { type: from, details } } as TaskRun;
  const verdict = decide([copyTaskParametersId], { run, proposed, now: instantOfMs(0) }, {});
  return verdict.kind === 'accept' && verdict.state.details.taskParametersId;
};

describe('copy-task-parameters-id', () => {
  it('goes from a task that waits to one that is claimed or runs', () => {
    const moves = [null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const));
    const copied = moves.filter(
      ([from, to]) =>
        idAfter(from, { taskParametersId: 'p' }, { type: to, name: to, message: null, details: {} }) === 'p',
    );
    expect(copied).toEqual([
      ['SCHEDULED', 'PENDING'],
      ['SCHEDULED', 'RUNNING'],
      ['PENDING', 'PENDING'],
      ['PENDING', 'RUNNING'],
    ]);
  });

  it('leaves an id that the proposal brings along, and adds none where there was none', () => {
    expect(idAfter('PENDING', { taskParametersId: 'p' }, running({ details: { taskParametersId: 'q' } }))).toBe('q');
    expect(idAfter('PENDING', {})).toBeUndefined();
  });
});

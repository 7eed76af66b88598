import { STATE_TYPES } from '../../states/state.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import { mirrorSubflowState } from './mirror-subflow-state.rule.js';

const effectsOf = (parentTaskRunId: string | null, type = STATE_TYPES[0]!) => {
  const proposed = { type, name: type, message: null, details: {} };
  const verdict = decide(
    [mirrorSubflowState],
    { run: { state: null, parentTaskRunId } as FlowRun, proposed, now: instantOfMs(0) },
    {},
  );
  return 'effects' in verdict && verdict.effects;
};

describe('mirror-subflow-state', () => {
  it.each(STATE_TYPES)('shows the caller that its subflow is %s [O24]', (type) => {
    expect(effectsOf('task', type)).toEqual([{ kind: 'mirror-state', taskRunId: 'task' }]);
  });

  it('does nothing for a run that nobody called', () => {
    expect(effectsOf(null)).toEqual([]);
  });
});

import { STATE_TYPES, StateType } from '../../states/state.js';
import { paused, suspended } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts } from '../../transitions/facts.js';
import type { FlowRun } from '../../transitions/run.js';
import { pauseFlowRun } from './pause-flow-run.rule.js';

interface Situation {
  readonly from?: StateType | null;
  readonly facts?: Facts;
  readonly pauseKeys?: readonly string[];
  readonly parentTaskRunId?: string | null;
}

function verdictOf(proposed = paused(), { from = StateType.Running, facts = {}, ...over }: Situation = {}) {
  const { pauseKeys = [], parentTaskRunId = null } = over;
  const run = {
    state: from && { type: from, details: {} },
    parentTaskRunId,
    policy: { pauseKeys },
  } as unknown as FlowRun;
  return decide([pauseFlowRun], { run, proposed, now: instantOfMs(0) }, facts);
}

describe('pause-flow-run', () => {
  it('pauses a RUNNING run and remembers which pause it was', () => {
    const proposed = paused({ details: { pauseKey: '2' } });
    expect(verdictOf(proposed, { pauseKeys: ['1'] })).toMatchObject({
      kind: 'accept',
      state: proposed,
      policy: { pauseKeys: ['1', '2'] },
    });
  });

  it('lets each pause fire once', () => {
    const proposed = paused({ details: { pauseKey: '1' } });
    expect(verdictOf(proposed, { pauseKeys: ['1'] })).toMatchObject({ kind: 'reject', state: null });
  });

  it('lets a pause without a key fire whenever the run comes past it', () => {
    expect(verdictOf(paused(), { pauseKeys: ['1'] })).toMatchObject({ kind: 'accept', policy: {} });
  });

  it('refuses a run that has no state', () => {
    expect(verdictOf(paused(), { from: null }).kind).toBe('abort');
  });

  it.each(STATE_TYPES.filter((type) => type !== StateType.Running))('keeps a run that is %s where it is', (from) => {
    expect(verdictOf(suspended(), { from })).toMatchObject({ kind: 'reject', state: null });
  });

  describe('a run that is to leave its process', () => {
    it('must be one that somebody can start again [O15]', () => {
      expect(verdictOf(suspended())).toEqual({ kind: 'needs-facts', names: ['reschedulable'] });
      expect(verdictOf(suspended(), { facts: { reschedulable: true } }).kind).toBe('accept');
      expect(verdictOf(suspended(), { facts: { reschedulable: false } }).kind).toBe('abort');
    });

    it('cannot be a subflow, which pauses in its process only [O15]', () => {
      expect(verdictOf(suspended(), { facts: { reschedulable: true }, parentTaskRunId: 'task' }).kind).toBe('abort');
      expect(verdictOf(paused(), { parentTaskRunId: 'task' }).kind).toBe('accept');
    });
  });
});

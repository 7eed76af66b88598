import { isTerminal, STATE_TYPES, StateType, type StateDetails } from '../../states/state.js';
import { addMicros, instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts } from '../../transitions/facts.js';
import type { FlowRun } from '../../transitions/run.js';
import { resumePausedFlowRun } from './resume-paused-flow-run.rule.js';

const now = instantOfMs(1_800_000_000_000);
const WAYS_ON = STATE_TYPES.filter((type) => type === 'RUNNING' || type === 'SCHEDULED' || isTerminal(type));

function verdictOf(to: StateType, details: StateDetails = {}, facts: Facts = {}) {
  const run = { state: { type: StateType.Paused, details } } as FlowRun;
  return decide(
    [resumePausedFlowRun],
    { run, proposed: { type: to, name: to, message: null, details: {} }, now },
    facts,
  );
}

describe('resume-paused-flow-run', () => {
  it.each(WAYS_ON)('lets a paused run become %s, as one that resumes', (to) => {
    expect(verdictOf(to)).toMatchObject({ kind: 'accept', policy: { resuming: true } });
  });

  it.each(STATE_TYPES.filter((type) => !WAYS_ON.includes(type)))('does not let it become %s [O16]', (to) => {
    expect(verdictOf(to)).toMatchObject({ kind: 'reject', state: null });
  });

  it.each(WAYS_ON)('fails it instead of letting it become %s, once its time is over [O16]', (to) => {
    for (const pauseTimeout of [now, addMicros(now, -1)]) {
      expect(verdictOf(to, { pauseTimeout })).toMatchObject({ kind: 'reject', state: { type: 'FAILED' }, policy: {} });
    }
    expect(verdictOf(to, { pauseTimeout: addMicros(now, 1) }).kind).toBe('accept');
  });

  it('goes on with a suspended run only when somebody can start it', () => {
    const details = { pauseReschedule: true };
    expect(verdictOf('SCHEDULED', details)).toEqual({ kind: 'needs-facts', names: ['reschedulable'] });
    expect(verdictOf('SCHEDULED', details, { reschedulable: true }).kind).toBe('accept');
    expect(verdictOf('SCHEDULED', details, { reschedulable: false })).toMatchObject({ kind: 'reject', state: null });
  });
});

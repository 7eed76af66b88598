import { isTerminal, STATE_TYPES, StateType, type StateData } from '../../states/state.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import type { Facts } from '../../transitions/facts.js';
import { protectEndedFlowRun } from './protect-ended-flow-run.rule.js';

const verdictOf = (from: StateType, to: StateType, facts: Facts = { reschedulable: true }) =>
  decide(
    [protectEndedFlowRun],
    {
      run: { state: { type: from, details: {} } } as FlowRun,
      proposed: { type: to, name: to, message: null, details: {} },
      now: instantOfMs(0),
    },
    facts,
  );

const ENDED = STATE_TYPES.filter(isTerminal);
const ended = (targets: readonly StateType[]) => ENDED.flatMap((from) => targets.map((to) => [from, to] as const));

describe('protect-ended-flow-run', () => {
  it.each(ended([StateType.Cancelling, StateType.Paused, StateType.Crashed]))('%s never becomes %s', (from, to) => {
    expect(verdictOf(from, to)).toEqual({ kind: 'abort', reason: `The run has ended already: it is ${from}.` });
  });

  it.each(ended([StateType.Completed, StateType.Failed, StateType.Cancelled]))(
    '%s may become %s without a change of policy',
    (from, to) => {
      expect(verdictOf(from, to)).toMatchObject({ kind: 'accept', policy: {} });
    },
  );

  it.each(ENDED)('%s is scheduled again when somebody can start it', (from) => {
    expect(verdictOf(from, StateType.Scheduled)).toMatchObject({
      kind: 'accept',
      policy: { resuming: false, pauseKeys: [], retryType: 'reschedule' },
    });
  });

  it.each(ENDED)('%s is not scheduled again when nobody could start it', (from) => {
    expect(verdictOf(from, StateType.Scheduled, { reschedulable: false })).toEqual({
      kind: 'abort',
      reason: 'Nobody could start the run again: it has no deployment and its flow is not registered.',
    });
  });

  it.each(ended([StateType.Pending, StateType.Running]))(
    '%s becomes %s in the process that proposes it, also when nobody else could start it',
    (from, to) => {
      expect(verdictOf(from, to, { reschedulable: false })).toMatchObject({
        kind: 'accept',
        policy: { resuming: false, pauseKeys: [], retryType: null },
      });
    },
  );

  describe('a run that completed with a result that is kept', () => {
    const verdictFor = (to: StateType, data?: StateData) =>
      decide(
        [protectEndedFlowRun],
        {
          run: {
            state: { type: 'COMPLETED', details: {}, data: { persisted: true, value: 'r' } },
          } as unknown as FlowRun,
          proposed: { type: to, name: to, message: null, details: {}, ...(data && { data }) },
          now: instantOfMs(0),
        },
        { reschedulable: false },
      );

    it.each([StateType.Scheduled, StateType.Pending, StateType.Running])('is not started again by %s [O03]', (to) => {
      expect(verdictFor(to)).toMatchObject({ kind: 'reject', state: null });
    });

    it.each<[string, StateData | undefined, string]>([
      ['without a result', undefined, 'reject'],
      ['with a result that is not kept', { persisted: false, value: 1 }, 'reject'],
      ['with another result that is kept', { persisted: true, value: 's' }, 'accept'],
    ])('completes again %s: %s [O03]', (_, data, kind) => {
      expect(verdictFor(StateType.Completed, data).kind).toBe(kind);
    });

    it.each([StateType.Failed, StateType.Cancelled])('may become %s', (to) => {
      expect(verdictFor(to).kind).toBe('accept');
    });
  });

  it('asks whether the run can be started again before it says anything', () => {
    expect(verdictOf(StateType.Failed, StateType.Scheduled, {})).toEqual({
      kind: 'needs-facts',
      names: ['reschedulable'],
    });
  });

  it('has nothing to ask and nothing to say about a run that has not ended', () => {
    const going = STATE_TYPES.filter((type) => !isTerminal(type));
    const verdicts = going.flatMap((from) => STATE_TYPES.map((to) => verdictOf(from, to, {}).kind));
    expect(new Set(verdicts)).toEqual(new Set(['accept']));
  });
});

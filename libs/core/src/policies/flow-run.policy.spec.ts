import { STATE_TYPES, StateType, type State } from '../states/state.js';
import { awaitingResume, failed, pending, running } from '../states/states.js';
import { addMs, instantOfMs } from '../time/instant.js';
import { decide } from '../transitions/decide.js';
import type { FlowRun } from '../transitions/run.js';
import { flowRunPolicy } from './flow-run.policy.js';

const now = instantOfMs(1_800_000_000_000);

const POLICY = {
  retries: 0,
  retryDelaysMs: [],
  resuming: false,
  pauseKeys: [],
  retryType: null,
  recoveries: 0,
  maxRecoveries: 1,
} as const;

function runIn(state: Partial<State> | null, over: Partial<FlowRun> = {}): FlowRun {
  return {
    state: state && { name: state.type, details: {}, ...state },
    runCount: 1,
    policy: POLICY,
    ...over,
  } as FlowRun;
}

function verdictOf(run: FlowRun, proposed = running(), facts = { reschedulable: true }) {
  return decide(flowRunPolicy, { run, proposed, now }, facts);
}

describe('flowRunPolicy', () => {
  /** `+` accepted as proposed, `=` stays where it is, `x` aborted. In the order of STATE_TYPES. */
  const TABLE: [StateType | null, string][] = [
    //            to: S P R Pa Cg Co F Cr Ca
    [null, '+ + + + + + + + +'],
    [StateType.Scheduled, '+ + + + + + + + +'],
    [StateType.Pending, '+ x + + + + + + +'],
    [StateType.Running, '+ x + + + + + + +'],
    [StateType.Paused, '+ + + + + + + + +'],
    [StateType.Cancelling, '= = = = = = = = +'],
    [StateType.Completed, '+ + + x x + + x +'],
    [StateType.Failed, '+ + + x x + + x +'],
    [StateType.Crashed, '+ + + x x + + x +'],
    [StateType.Cancelled, '+ x + x x + + x +'],
  ];

  it.each(TABLE)('from %s, each type in turn: %s', (from, expected) => {
    const verdicts = STATE_TYPES.map((to) => {
      const proposed = { type: to, name: to === StateType.Pending ? 'Pending' : to, message: null, details: {} };
      const verdict = verdictOf(runIn(from && { type: from }), proposed);
      if (verdict.kind === 'reject') return verdict.state === null ? '=' : '?';
      return verdict.kind === 'accept' ? '+' : verdict.kind === 'abort' ? 'x' : verdict.kind;
    });
    expect(verdicts.join(' ')).toBe(expected);
  });

  it('answers a resent proposal before anything else: also one for an ended run', () => {
    const run = runIn({ type: StateType.Completed, details: { transitionId: 't' } });
    const proposed = { type: StateType.Paused, name: 'Paused', message: null, details: { transitionId: 't' } };
    expect(verdictOf(run, proposed)).toMatchObject({ kind: 'reject', state: null });
  });

  it('keeps a run that is being cancelled where it is, rather than telling it off for claiming', () => {
    expect(verdictOf(runIn({ type: StateType.Cancelling }), pending())).toMatchObject({ kind: 'reject', state: null });
  });

  it('lets a run be claimed early but not started early', () => {
    const scheduledTime = addMs(now, 60_000);
    const claim = verdictOf(runIn({ type: StateType.Scheduled, details: { scheduledTime } }), pending());
    expect(claim).toMatchObject({ kind: 'accept', state: { details: { scheduledTime } } });

    const claimed = runIn({ type: StateType.Pending, details: { scheduledTime } });
    expect(verdictOf(claimed)).toMatchObject({ kind: 'wait', retryAfterMs: 60_000 });
  });

  it('puts a retry in the place of a failure while attempts remain', () => {
    const run = runIn({ type: StateType.Running });
    const policy = { ...run.policy, retries: 1, retryDelaysMs: [100] };
    expect(verdictOf({ ...run, policy }, failed())).toMatchObject({
      kind: 'reject',
      state: { name: 'AwaitingRetry', details: { scheduledTime: addMs(now, 100) } },
      policy: { retryType: 'in_process' },
    });
    expect(verdictOf({ ...run, policy, runCount: 2 }, failed())).toMatchObject({ kind: 'accept' });
  });

  it('lets a run whose process died go on in the same attempt, but not for ever', () => {
    const run = runIn({ type: StateType.Running });
    const proposed = awaitingResume({ scheduledTime: now, details: { interrupted: true } });
    expect(verdictOf(run, proposed)).toEqual({
      kind: 'accept',
      state: proposed,
      policy: { resuming: true, recoveries: 1 },
    });
    expect(verdictOf({ ...run, policy: { ...POLICY, recoveries: 1 } }, proposed)).toMatchObject({
      kind: 'reject',
      state: { type: 'CRASHED' },
    });
  });

  it('does not schedule an ended run that nobody could start', () => {
    const proposed = { type: StateType.Scheduled, name: 'Scheduled', message: null, details: {} };
    expect(verdictOf(runIn({ type: StateType.Failed }), proposed, { reschedulable: false }).kind).toBe('abort');
  });
});

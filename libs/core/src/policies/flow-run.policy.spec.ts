import { STATE_TYPES, StateType, type State } from '../states/state.js';
import { awaitingResume, cancelling, completed, failed, pending, running } from '../states/states.js';
import { addMs, instantOfMs } from '../time/instant.js';
import { advanceFlowRun } from '../transitions/advance.js';
import { decide } from '../transitions/decide.js';
import type { FlowRun } from '../transitions/run.js';
import { flowRunPolicy } from './flow-run.policy.js';

const now = instantOfMs(1_800_000_000_000);

function runIn(state: Partial<State> | null, over: Partial<FlowRun> = {}): FlowRun {
  return {
    state: state && { name: state.type, details: {}, ...state },
    runCount: 1,
    policy: {
      retries: 0,
      retryDelaysMs: [],
      resuming: false,
      pauseKeys: [],
      retryType: null,
      recoveries: 0,
      maxRecoveries: 10,
    },
    ...over,
  } as FlowRun;
}

function verdictOf(run: FlowRun, proposed = running(), facts = { reschedulable: true }) {
  return decide(flowRunPolicy, { run, proposed, now }, facts);
}

describe('flowRunPolicy', () => {
  /** `+` accepted as proposed, `!` cancelled at once, `=` stays where it is, `x` aborted. In the order of STATE_TYPES. */
  const TABLE: [StateType | null, string][] = [
    //            to: S P R Pa Cg Co F Cr Ca
    [null, '+ + + x + + + + +'],
    [StateType.Scheduled, '+ + + = ! + + + +'],
    [StateType.Pending, '+ x + = + + + + +'],
    [StateType.Running, '+ x + + + + + + +'],
    [StateType.Paused, '+ = + = = + + + +'],
    [StateType.Cancelling, '= = = = = = = = +'],
    [StateType.Completed, '+ + + x x + + x +'],
    [StateType.Failed, '+ + + x x + + x +'],
    [StateType.Crashed, '+ + + x x + + x +'],
    [StateType.Cancelled, '+ x + x x + + x +'],
  ];

  it.each(TABLE)('from %s, each type in turn: %s [O03]', (from, expected) => {
    const verdicts = STATE_TYPES.map((to) => {
      const proposed = { type: to, name: to === StateType.Pending ? 'Pending' : to, message: null, details: {} };
      const verdict = verdictOf(runIn(from && { type: from }), proposed);
      if (verdict.kind === 'reject')
        return verdict.state?.type === StateType.Cancelled ? '!' : verdict.state ? '?' : '=';
      return verdict.kind === 'accept' ? '+' : verdict.kind === 'abort' ? 'x' : verdict.kind;
    });
    expect(verdicts.join(' ')).toBe(expected);
  });

  it('answers a resent proposal before anything else: also one for an ended run', () => {
    const run = runIn({ type: StateType.Completed, details: { transitionId: 't' } });
    const proposed = { type: StateType.Paused, name: 'Paused', message: null, details: { transitionId: 't' } };
    expect(verdictOf(run, proposed)).toMatchObject({ kind: 'reject', state: null });
  });

  it('keeps a run that is being cancelled where it is, rather than telling it off for claiming [O04]', () => {
    expect(verdictOf(runIn({ type: StateType.Cancelling }), pending())).toMatchObject({ kind: 'reject', state: null });
  });

  it('lets a run be claimed early but not started early [O08]', () => {
    const scheduledTime = addMs(now, 60_000);
    const claim = verdictOf(runIn({ type: StateType.Scheduled, details: { scheduledTime } }), pending());
    expect(claim).toMatchObject({ kind: 'accept', state: { details: { scheduledTime } } });

    const claimed = runIn({ type: StateType.Pending, details: { scheduledTime } });
    expect(verdictOf(claimed)).toMatchObject({ kind: 'wait', retryAfterMs: 60_000 });
  });

  it('puts a retry in the place of a failure while attempts remain [O09]', () => {
    const run = runIn({ type: StateType.Running });
    const policy = { ...run.policy, retries: 1, retryDelaysMs: [100] };
    expect(verdictOf({ ...run, policy }, failed())).toMatchObject({
      kind: 'reject',
      state: { name: 'AwaitingRetry', details: { scheduledTime: addMs(now, 100) } },
      policy: { retryType: 'in_process' },
    });
    expect(verdictOf({ ...run, policy, runCount: 2 }, failed())).toMatchObject({ kind: 'accept' });
  });

  it('does not schedule an ended run that nobody could start', () => {
    const proposed = { type: StateType.Scheduled, name: 'Scheduled', message: null, details: {} };
    expect(verdictOf(runIn({ type: StateType.Failed }), proposed, { reschedulable: false }).kind).toBe('abort');
  });

  it('cancels a suspended run at once, even one that could not go on and whose pause has timed out', () => {
    const run = runIn({ type: StateType.Paused, details: { pauseReschedule: true, pauseTimeout: now } });
    expect(verdictOf(run, cancelling(), { reschedulable: false })).toMatchObject({ state: { type: 'CANCELLED' } });
  });

  it('takes no slot for a claim that is turned away', () => {
    const run = runIn({ type: StateType.Cancelled }, { deploymentId: 'd' });
    expect(verdictOf(run, pending()).kind).toBe('abort');
  });

  it('keeps the slot of a run whose failure becomes a retry in its process [O14]', () => {
    const run = runIn({ type: StateType.Running }, { deploymentId: 'd' });
    const verdict = verdictOf({ ...run, policy: { ...run.policy, retries: 1 } }, failed());
    expect(verdict).toMatchObject({ state: { name: 'AwaitingRetry' }, effects: [] });
  });

  it('asks nothing about a run without deployment that starts, ends or fails', () => {
    for (const [from, to] of [
      [StateType.Pending, running()],
      [StateType.Running, completed()],
      [StateType.Running, failed()],
      [StateType.Scheduled, pending()],
    ] as const) {
      expect(decide(flowRunPolicy, { run: runIn({ type: from }), proposed: to, now }, {}).kind).toBe('accept');
    }
  });

  it('takes a run whose process died from RUNNING back to RUNNING without a new attempt', () => {
    const died = runIn({ type: StateType.Running, timestamp: now });
    const taken = verdictOf(died, awaitingResume({ scheduledTime: now }));
    expect(taken).toMatchObject({ kind: 'accept', policy: { resuming: true } });
    if (taken.kind !== 'accept') return;
    const waiting = advanceFlowRun(died, { ...taken.state, id: 's', timestamp: now }, taken.policy);
    const back = verdictOf(waiting);
    if (back.kind !== 'accept') throw new Error(back.kind);
    const again = advanceFlowRun(waiting, { ...back.state, id: 't', timestamp: now }, back.policy);
    expect(again).toMatchObject({ runCount: 1, policy: { resuming: false }, state: { type: 'RUNNING' } });
  });
});

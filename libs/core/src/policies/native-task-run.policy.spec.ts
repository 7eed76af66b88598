import { STATE_TYPES, StateType, type State } from '../states/state.js';
import { completed, failed, running } from '../states/states.js';
import { addMs, instantOfMs } from '../time/instant.js';
import { decide } from '../transitions/decide.js';
import type { TaskRun } from '../transitions/run.js';
import { nativeTaskRunPolicy } from './native-task-run.policy.js';

const now = instantOfMs(1_800_000_000_000);

function runIn(state: Partial<State> | null, over: Partial<TaskRun> = {}): TaskRun {
  return {
    state: state && { name: state.type, details: {}, ...state },
    runCount: 0,
    policy: { retries: 0, retryDelaysMs: [] },
    ...over,
  } as TaskRun;
}

const verdictOf = (run: TaskRun, proposed = running()) => decide(nativeTaskRunPolicy, { run, proposed, now }, {});

describe('nativeTaskRunPolicy', () => {
  /** `+` accepted as proposed, `x` aborted. In the order of STATE_TYPES. */
  const TABLE: [StateType | null, string][] = [
    //            to: S P R Pa Cg Co F Cr Ca
    [null, '+ + + + + + + + +'],
    [StateType.Scheduled, '+ + + + + + + + +'],
    [StateType.Pending, '+ + + + + + + + +'],
    [StateType.Running, '+ + + + + + + + +'],
    [StateType.Paused, '+ + + + + + + + +'],
    [StateType.Cancelling, '+ + + + + + + + +'],
    [StateType.Completed, 'x x x x x x x x x'],
    [StateType.Failed, 'x x x x x x x x x'],
    [StateType.Crashed, 'x x x x x x x x x'],
    [StateType.Cancelled, 'x x x x x x x x x'],
  ];

  it.each(TABLE)('from %s, each type in turn: %s [O03]', (from, expected) => {
    const verdicts = STATE_TYPES.map((to) => {
      const proposed = { type: to, name: to, message: null, details: {} };
      const run = runIn(from && { type: from }, { runCount: from === StateType.Running ? 1 : 0 });
      const verdict = verdictOf(run, proposed);
      return verdict.kind === 'accept' ? '+' : verdict.kind === 'abort' ? 'x' : verdict.kind;
    });
    expect(verdicts.join(' ')).toBe(expected);
  });

  it('answers a resent outcome with the recorded one instead of an error', () => {
    const run = runIn({ type: StateType.Completed, details: { transitionId: 't' } });
    const proposed = completed({ details: { transitionId: 't' } });
    expect(verdictOf(run, proposed)).toMatchObject({ kind: 'reject', state: null });
  });

  it('names the attempt that the retry rule put in the place of a failure', () => {
    const run = runIn({ type: StateType.Running }, { runCount: 1, policy: { retries: 1, retryDelaysMs: [] } });
    expect(verdictOf(run, failed())).toMatchObject({ kind: 'reject', state: { type: 'RUNNING', name: 'Retrying' } });
  });

  it('waits for the time of a delayed retry, then names the attempt', () => {
    const details = { scheduledTime: addMs(now, 5) };
    const waiting = runIn({ type: StateType.Scheduled, name: 'AwaitingRetry', details }, { runCount: 1 });
    expect(verdictOf(waiting)).toMatchObject({ kind: 'wait', retryAfterMs: 5 });

    const due = runIn(
      { type: StateType.Scheduled, name: 'AwaitingRetry', details: { scheduledTime: now } },
      { runCount: 1 },
    );
    expect(verdictOf(due)).toMatchObject({ kind: 'accept', state: { name: 'Retrying' } });
  });

  it('needs no facts: it decides from memory', () => {
    const kinds = [null, ...STATE_TYPES].flatMap((from) =>
      STATE_TYPES.map(
        (to) => verdictOf(runIn(from && { type: from }), { type: to, name: to, message: null, details: {} }).kind,
      ),
    );
    expect(kinds).not.toContain('needs-facts');
  });
});

import { STATE_TYPES, StateType } from '../../states/state.js';
import { awaitingResume, awaitingRetry, scheduled } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun, FlowRunPolicy } from '../../transitions/run.js';
import { recoverInterruptedFlowRun } from './recover-interrupted-flow-run.rule.js';

const now = instantOfMs(1_800_000_000_000);
const died = awaitingResume({ scheduledTime: now, message: 'Its process died.', details: { interrupted: true } });
const handedBack = awaitingResume({ scheduledTime: now, message: 'Its process shut down.' });

function runIn(type: StateType | null, policy: Partial<FlowRunPolicy> = {}): FlowRun {
  return {
    state: type && { type, name: type, details: {} },
    runCount: 1,
    policy: { resuming: false, recoveries: 0, maxRecoveries: 3, ...policy },
  } as unknown as FlowRun;
}

const verdictOf = (run: FlowRun, proposed = died) => decide([recoverInterruptedFlowRun], { run, proposed, now }, {});

describe('recover-interrupted-flow-run', () => {
  it.each([
    ['died for the first time', died, 0, 1],
    ['died for the last time but one', died, 1, 2],
    ['died for the last time', died, 2, 3],
    ['shut down', handedBack, 0, 0],
    ['shut down after many had died', handedBack, 3, 3],
  ])('lets a run go on whose process %s', (_, proposed, recoveries, counted) => {
    expect(verdictOf(runIn(StateType.Running, { recoveries }), proposed)).toEqual({
      kind: 'accept',
      state: proposed,
      policy: { resuming: true, recoveries: counted },
    });
  });

  it.each([
    ['died once too often', 3, 3, 4],
    ['died, where none may', 0, 0, 1],
  ])('gives up a run whose process %s', (_, recoveries, maxRecoveries, counted) => {
    expect(verdictOf(runIn(StateType.Running, { recoveries, maxRecoveries }))).toMatchObject({
      kind: 'reject',
      state: { type: 'CRASHED', message: expect.stringContaining('TOO_MANY_RECOVERIES') },
      policy: { recoveries: counted },
    });
  });

  it('does not give up a run that is handed back after it was given up and began again', () => {
    const run = runIn(StateType.Running, { recoveries: 4, maxRecoveries: 3 });
    expect(verdictOf(run, handedBack).kind).toBe('accept');
  });

  it.each([
    ['had not begun begins its first attempt', StateType.Pending, false, false],
    ['was about to come back comes back', StateType.Pending, true, true],
    ['was running comes back', StateType.Running, false, true],
  ] as const)('a run that %s', (_, type, before, resuming) => {
    expect(verdictOf(runIn(type, { resuming: before }))).toMatchObject({ policy: { resuming } });
  });

  it.each([
    ['a schedule', scheduled({ scheduledTime: now })],
    ['a retry', awaitingRetry({ scheduledTime: now })],
  ])('has nothing to say about %s', (_, proposed) => {
    expect(verdictOf(runIn(StateType.Running), proposed)).toEqual({ kind: 'accept', state: proposed, policy: {} });
  });

  it('looks at PENDING and RUNNING → SCHEDULED only', () => {
    const moves = [null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const));
    const altered = moves.filter(([from, to]) => {
      const verdict = verdictOf(runIn(from), { ...died, type: to });
      return verdict.kind !== 'accept' || Object.keys(verdict.policy).length > 0;
    });
    expect(altered).toEqual([
      ['PENDING', 'SCHEDULED'],
      ['RUNNING', 'SCHEDULED'],
    ]);
  });
});

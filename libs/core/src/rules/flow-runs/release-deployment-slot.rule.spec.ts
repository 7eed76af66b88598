import { isTerminal, STATE_TYPES, StateType, type ProposedState } from '../../states/state.js';
import { awaitingResume, awaitingRetry, cancelled } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { FlowRun } from '../../transitions/run.js';
import { releaseDeploymentSlot } from './release-deployment-slot.rule.js';

const now = instantOfMs(0);

function releases(from: Partial<ProposedState> | null, proposed: ProposedState, deploymentId: string | null = 'd') {
  const run = { deploymentId, state: from && { name: from.type, details: {}, ...from } } as FlowRun;
  const verdict = decide([releaseDeploymentSlot], { run, proposed, now }, {});
  return 'effects' in verdict && verdict.effects.some(({ kind }) => kind === 'release-deployment-slot');
}
const stateOf = (type: StateType) => ({ type, name: type, message: null, details: {} });

describe('release-deployment-slot', () => {
  // A pause, unless it is a suspension, is held in the process that executes the run.
  const holding: readonly (StateType | null)[] = [
    StateType.Pending,
    StateType.Running,
    StateType.Cancelling,
    StateType.Paused,
  ];
  /** Of a run that waits and ends, the place in the line is let go of, or the slot that it was handed there. */
  const endsWaiting = (from: StateType | null, to: StateType): boolean =>
    from === StateType.Scheduled && isTerminal(to);

  it.each([null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const)))(
    'from %s to %s: when the run stops [O14]',
    (from, to) => {
      const expected = (holding.includes(from) && !holding.includes(to)) || endsWaiting(from, to);
      expect(releases(from && { type: from }, stateOf(to))).toBe(expected);
    },
  );

  it('has nothing to release of a run without deployment', () => {
    expect(releases({ type: StateType.Running }, stateOf(StateType.Completed), null)).toBe(false);
  });

  it('lets go of the slot of a run that is suspended, and has none to let go of when that ends', () => {
    const suspended = { ...stateOf(StateType.Paused), details: { pauseReschedule: true } };
    expect(releases({ type: StateType.Running }, suspended)).toBe(true);
    expect(releases(suspended, stateOf(StateType.Failed))).toBe(false);
  });

  it('keeps the slot while the run waits for its next attempt in its process, not while it waits to be claimed for it', () => {
    const retry = awaitingRetry({ scheduledTime: now });
    const after = (retryType: 'in_process' | 'reschedule') => {
      const run = { deploymentId: 'd', policy: { retryType }, state: { type: StateType.Running, details: {} } };
      const verdict = decide([releaseDeploymentSlot], { run: run as unknown as FlowRun, proposed: retry, now }, {});
      return 'effects' in verdict && verdict.effects.length > 0;
    };
    expect([after('in_process'), after('reschedule')]).toEqual([false, true]);
  });

  it('keeps the slot while the run waits for another process, and lets go of it when it is cancelled there', () => {
    const waiting = awaitingResume({ scheduledTime: now });
    expect(releases({ type: StateType.Running }, waiting)).toBe(false);
    expect(releases(waiting, stateOf(StateType.Running))).toBe(false);
    expect(releases(waiting, cancelled())).toBe(true);
  });
});

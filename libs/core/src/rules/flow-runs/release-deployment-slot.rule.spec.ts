import { STATE_TYPES, StateType, type ProposedState } from '../../states/state.js';
import { awaitingResume, cancelled } from '../../states/states.js';
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
  const holding: readonly (StateType | null)[] = [StateType.Pending, StateType.Running, StateType.Cancelling];

  it.each([null, ...STATE_TYPES].flatMap((from) => STATE_TYPES.map((to) => [from, to] as const)))(
    'from %s to %s: when the run stops [O14]',
    (from, to) => {
      const expected = holding.includes(from) && !holding.includes(to);
      expect(releases(from && { type: from }, stateOf(to))).toBe(expected);
    },
  );

  it('has nothing to release of a run without deployment', () => {
    expect(releases({ type: StateType.Running }, stateOf(StateType.Completed), null)).toBe(false);
  });

  it('keeps the slot while the run waits for another process, and lets go of it when it is cancelled there', () => {
    const waiting = awaitingResume({ scheduledTime: now });
    expect(releases({ type: StateType.Running }, waiting)).toBe(false);
    expect(releases(waiting, stateOf(StateType.Running))).toBe(false);
    expect(releases(waiting, cancelled())).toBe(true);
  });
});

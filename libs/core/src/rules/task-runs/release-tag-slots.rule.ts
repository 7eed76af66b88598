import { STATE_TYPES, StateType } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { amend, pass, type Rule } from '../../transitions/transition.js';

const SLOT_HOLDING: readonly StateType[] = [StateType.Running, StateType.Cancelling];

/** Slots are held while a task run is RUNNING or CANCELLING: whatever leads out of both lets go of them. */
export const releaseTagSlots: Rule<TaskRun> = {
  name: 'release-tag-slots',
  about: 'outcome',
  from: SLOT_HOLDING,
  to: STATE_TYPES.filter((type) => !SLOT_HOLDING.includes(type)),
  decide: ({ run }) => (run.tags?.length ? amend({ effects: [{ kind: 'release-tag-slots' }] }) : pass()),
};

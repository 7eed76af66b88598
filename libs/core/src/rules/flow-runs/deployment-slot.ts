import { StateType, type ProposedState } from '../../states/state.js';

/** The state types in which a flow run holds a slot of its deployment's limit. */
export const SLOT_HOLDING: readonly StateType[] = [StateType.Pending, StateType.Running, StateType.Cancelling];

/**
 * Whether a flow run holds a slot of its deployment's limit while it is in a state.
 *
 * A run whose process died keeps its slot while it waits for another process: it counts as running all the while, and goes
 * on without being claimed.
 */
export function holdsSlot(state: ProposedState | null): boolean {
  if (state === null) return false;
  return SLOT_HOLDING.includes(state.type) || (state.type === StateType.Scheduled && state.name === 'AwaitingResume');
}

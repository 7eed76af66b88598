import type { FlowRunPolicy } from '../../transitions/run.js';
import { StateType, type ProposedState } from '../../states/state.js';

/** The state types in which a flow run holds a slot of its deployment's limit. */
export const SLOT_HOLDING: readonly StateType[] = [StateType.Pending, StateType.Running, StateType.Cancelling];

/**
 * Whether a flow run holds a slot of its deployment's limit while it is in a state.
 *
 * A run keeps its slot while it counts as running, and goes on without being claimed: while it waits for another process
 * because its own died, for its next attempt in its process, or for the end of a pause in its process.
 */
export function holdsSlot(state: ProposedState | null, policy?: Pick<FlowRunPolicy, 'retryType'>): boolean {
  if (state === null) return false;
  if (state.type === StateType.Paused) return state.details.pauseReschedule !== true;
  if (state.type !== StateType.Scheduled) return SLOT_HOLDING.includes(state.type);
  return state.name === 'AwaitingResume' || (state.name === 'AwaitingRetry' && policy?.retryType === 'in_process');
}

import { StateType, type ProposedState } from '../../states/state.js';

/** Whether a state is the completion of a run whose result is kept. */
export function hasKeptResult(state: ProposedState | null): boolean {
  return state?.type === StateType.Completed && state.data?.persisted === true;
}

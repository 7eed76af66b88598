import { addMs, type Instant } from '../time/instant.js';
import { isTerminal, StateType, type ProposedState, type State } from './state.js';
import { cancelled, cancelling } from './states.js';

/** How long whoever executes a run has to cancel it before it is cancelled without them. */
const CANCELLATION_TIMEOUT_MS = 300_000;

/** When a run that is CANCELLING is cancelled, whether or not somebody has stopped it: five minutes after it became so. */
export function cancellationDeadline(state: Pick<State, 'timestamp'>): Instant {
  return addMs(state.timestamp, CANCELLATION_TIMEOUT_MS);
}

/** A run that a cancelled flow run started. */
export interface Child {
  readonly state: Pick<State, 'type'> | null;
  /** Of a subflow; a task run has none. */
  readonly deploymentId?: string | null;
}

/**
 * What becomes of a run when the flow run that started it is cancelled; `null` for one that has ended, or is being cancelled
 * by whoever executes it.
 *
 * A subflow of a deployment runs somewhere else, where somebody has to stop it. Everything else ended with its flow run.
 */
export function stateOfCancelledChild({ state, deploymentId }: Child): ProposedState | null {
  if (state !== null && isTerminal(state.type)) return null;
  const message = 'The flow run that started it was cancelled.';
  if (deploymentId == null) return cancelled({ message });
  return state?.type === StateType.Cancelling ? null : cancelling({ message });
}

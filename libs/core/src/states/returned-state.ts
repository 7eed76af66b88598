import { STATE_TYPES, StateType, type ProposedState } from './state.js';
import { cancelled, completed, failed, paused } from './states.js';

/**
 * The state that a run enters when its method has returned `value`.
 *
 * - A state that the author made is entered as it is, unless it is the state of another run.
 * - The state of another run, or an array or set of nothing but states, is summed up: `COMPLETED` when all are, else
 *   `CANCELLED`, else `PAUSED` when one of them is, else `FAILED`.
 * - Anything else, an empty list included, is a result: `COMPLETED`. That holds however many task runs failed on the way:
 *   whoever returns has dealt with them.
 */
export function returnedState(value: unknown): ProposedState {
  return stateAmong(value) ?? completed();
}

/**
 * The state that a value asks for; `null` when it is an ordinary one. Made for every result, so it looks
 * no further than it must.
 */
export function stateAmong(value: unknown): ProposedState | null {
  if (typeof value !== 'object' || value === null) return null;
  if (isState(value)) return isOfARun(value) ? summedUp([value]) : value;
  if (!Array.isArray(value) && !(value instanceof Set)) return null;
  const states: ProposedState[] = [];
  for (const member of value as Iterable<unknown>) {
    if (!isState(member)) return null;
    states.push(member);
  }
  return states.length > 0 ? summedUp(states) : null;
}

function summedUp(states: readonly ProposedState[]): ProposedState {
  const not = states.filter(({ type }) => type !== StateType.Completed);
  if (not.length === 0) return completed({ message: 'All states are COMPLETED.' });

  const counts = STATE_TYPES.map((type) => ({ type, count: not.filter((state) => state.type === type).length }));
  const message = counts
    .filter(({ count }) => count > 0)
    .map(({ type, count }) => `${count} of ${states.length} ${type}`)
    .join(', ');
  const is = (type: StateType): boolean => not.some((state) => state.type === type);
  if (is(StateType.Cancelled)) return cancelled({ message });
  return is(StateType.Paused) ? paused({ message }) : failed({ message });
}

/** Whether a value is a state, by its shape: nothing else that a method returns has all of it. */
function isState(value: unknown): value is ProposedState {
  if (typeof value !== 'object' || value === null) return false;
  const { type, name, message, details } = value as Partial<Record<keyof ProposedState, unknown>>;
  return (
    STATE_TYPES.includes(type as StateType) &&
    typeof name === 'string' &&
    (message === null || typeof message === 'string') &&
    typeof details === 'object' &&
    details !== null
  );
}

function isOfARun({ details }: ProposedState): boolean {
  return details.flowRunId !== undefined || details.taskRunId !== undefined;
}

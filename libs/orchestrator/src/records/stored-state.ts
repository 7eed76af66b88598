import { formatInstant, type Instant, type State, type StateDetails } from '@nestor/core';

/** One state to append to the history of the run `runId`. */
export interface NewState {
  readonly runId: string;
  readonly state: State;
  /** The state before, `null` for the first one. */
  readonly follows: string | null;
}

/** What the rows of both histories take, in the order of {@link STATE_COLUMNS}. */
export const stateColumns: readonly ((entry: NewState) => unknown)[] = [
  ({ runId }) => runId,
  ({ state }) => formatInstant(state.timestamp),
  ({ state }) => state.id,
  ({ state }) => state.type,
  ({ state }) => state.name,
  ({ state }) => state.message,
  ({ state }) => storedDetails(state.details),
  ({ follows }) => follows,
];

/** The statement part that matches {@link stateColumns}; `first` is the number of its first parameter. */
export function unnestStates(first: number): string {
  const types = ['uuid', 'timestamptz', 'uuid', 'text', 'text', 'text', 'jsonb', 'uuid'];
  const parameters = types.map((type, index) => `$${first + index}::${type}[]`).join(', ');
  return `unnest(${parameters}) as s(run_id, timestamp, id, type, name, message, state_details, follows)`;
}

export const STATE_COLUMNS = 'timestamp, id, type, name, message, state_details, follows';

const NO_DETAILS = '{}';

function storedDetails(details: StateDetails): string {
  for (const _ in details) {
    const { scheduledTime, ...rest } = details;
    return JSON.stringify({
      ...rest,
      ...(scheduledTime !== undefined && { scheduledTime: formatInstant(scheduledTime) }),
    });
  }
  return NO_DETAILS;
}

/** The text of an instant as a parameter, or `null`. */
export function instantParameter(instant: Instant | null): string | null {
  return instant === null ? null : formatInstant(instant);
}

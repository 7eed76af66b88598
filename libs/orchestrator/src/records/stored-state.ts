import { formatInstant, type Instant, type State, type StateDetails } from '@nestor/core';
import { RowSet } from './row-set.js';

/** One state to append to the history of the run `runId`. */
export interface NewState {
  readonly runId: string;
  readonly state: State;
  /** The state before, `null` for the first one. */
  readonly follows: string | null;
  /** The number of the claim on whose behalf it is written: see `WriteFence`. */
  claim: number;
}

/** States on their way into either history. */
export const newStates = new RowSet<NewState>([
  ['claim', 'integer', ({ claim }) => claim],
  ['run_id', 'uuid', ({ runId }) => runId],
  ['timestamp', 'timestamptz', ({ state }) => formatInstant(state.timestamp)],
  ['id', 'uuid', ({ state }) => state.id],
  ['type', 'text', ({ state }) => state.type],
  ['name', 'text', ({ state }) => state.name],
  ['message', 'text', ({ state }) => state.message],
  ['state_details', 'jsonb', ({ state }) => storedDetails(state.details)],
  ['follows', 'uuid', ({ follows }) => follows],
]);

/** What of {@link newStates} a history table takes besides the run's id. */
export const STATE_COLUMNS = 'timestamp, id, type, name, message, state_details, follows';

const NO_DETAILS = '{}';

/** Details that are instants; `jsonb` keeps their ISO text to the microsecond. */
export const INSTANT_DETAILS = [
  'scheduledTime',
  'cacheExpiration',
  'pauseTimeout',
] as const satisfies readonly (keyof StateDetails)[];

export function storedDetails(details: StateDetails): string {
  for (const _ in details) {
    const stored: Record<string, unknown> = { ...details };
    for (const name of INSTANT_DETAILS) {
      const instant = details[name];
      if (instant !== undefined) stored[name] = formatInstant(instant);
    }
    return JSON.stringify(stored);
  }
  return NO_DETAILS;
}

/** The text of an instant as a parameter, or `null`. */
export function instantParameter(instant: Instant | null): string | null {
  return instant === null ? null : formatInstant(instant);
}

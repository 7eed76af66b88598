/** The states in which a run has ended. */
export const ENDED = `('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')`;

/**
 * The condition that a run has ended before an instant. Of a run that never began there is no end but the time of its last state.
 *
 * @param run the alias of the row.
 * @param instant a parameter.
 */
export function endedBefore(run: string, instant: string): string {
  return `${run}.state_type in ${ENDED} and coalesce(${run}.end_time, ${run}.state_timestamp) < ${instant}::timestamptz`;
}

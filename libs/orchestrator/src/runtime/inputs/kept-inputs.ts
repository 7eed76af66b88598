// Under which keys a run keeps what it was told, among the values that it drew: it is told the same when it begins again.

const PAUSE = 'pause:';
const INPUT = '.input:';
const SLEEP = 'sleep';

/** What a run keeps of its pauses, inputs and sleeps, as patterns of `like`: these are asked for again after a restart. */
export const KEPT_PATTERNS: readonly string[] = [`${PAUSE}%`, `%${INPUT}%`, `%.${SLEEP}-%`];

/** The kind of value that the end of a sleep is. */
export const SLEEP_VALUE_KIND = SLEEP;

/** The answer to a pause. */
export function pauseValueKey(pauseKey: string): string {
  return `${PAUSE}${pauseKey}`;
}

/**
 * The kind of value that a received input is.
 *
 * @param flowRunId whose it was; `null` for the run's own, which are the same for its forks.
 */
export function inputValueKind(flowRunId: string | null, keyPrefix: string): string {
  return `input:${flowRunId ?? ''}:${keyPrefix}`;
}

/** Whether it is the key of a received input. */
export function isInputValueKey(key: string): boolean {
  return key.includes(INPUT) && !key.startsWith(PAUSE);
}

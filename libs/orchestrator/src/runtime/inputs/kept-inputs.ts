import { SCOPE_LENGTH } from '../engine/branch.js';

// Under which keys a run keeps what it was told, among the values that it drew: it is told the same when it begins again. The
// answer to a pause goes by the key of the pause; inputs and sleeps, as other values, by the scope in which they were drawn.

const PAUSE = 'pause:';
const INPUT = 'input:';
const DEADLINE = '.until';

/** The kind of value that the end of a sleep is. */
export const SLEEP_VALUE_KIND = 'sleep';

const ANY_SCOPE = `${'_'.repeat(SCOPE_LENGTH)}.`;

/** What a run keeps of its pauses, inputs and sleeps, as patterns of `like`: these are asked for again after a restart. */
export const KEPT_PATTERNS: readonly string[] = [
  `${PAUSE}%`,
  `${ANY_SCOPE}${INPUT}%`,
  `${ANY_SCOPE}${SLEEP_VALUE_KIND}-%`,
];

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
  return `${INPUT}${flowRunId ?? ''}:${keyPrefix}`;
}

/** Until when the input may come that is kept under that key. */
export function deadlineKey(inputKey: string): string {
  return `${inputKey}${DEADLINE}`;
}

/** Whether it is the key of a received input. */
export function isInputValueKey(key: string): boolean {
  return key.startsWith(`.${INPUT}`, SCOPE_LENGTH) && !key.endsWith(DEADLINE);
}

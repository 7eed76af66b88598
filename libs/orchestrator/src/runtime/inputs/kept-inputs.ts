// Under which keys a run keeps what it was told, among the values that it drew: it is told the same when it begins again.

const PAUSE = 'pause:';
const INPUT = '.input:';

/** The answer to a pause. */
export function pauseValueKey(pauseKey: string): string {
  return `${PAUSE}${pauseKey}`;
}

/** The kind of value that a received input is. */
export function inputValueKind(flowRunId: string, keyPrefix: string): string {
  return `input:${flowRunId}:${keyPrefix}`;
}

/** Whether it is the key of a received input. */
export function isInputValueKey(key: string): boolean {
  return key.includes(INPUT);
}

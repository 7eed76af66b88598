import { OrchestratorError } from '@nestor/core';

/** What a new run is given besides its arguments. */
export interface NewRunOptions {
  /** A name for people, of 1 to 200 characters; two words by default. */
  readonly name?: string;
  /** At most 100 tags of 1 to 200 characters. */
  readonly tags?: readonly string[];
}

/** An option of a new run. */
type RunOptionName =
  | (
      | 'name'
      | 'tags'
      | 'key'
      | 'idempotencyKey'
      | 'at'
      | 'transaction'
      | 'singleton'
      | 'debounce'
      | 'throttle'
      | 'batch'
    )
  | ('workQueue' | 'priority' | 'fairnessKey' | 'fairnessWeight');

/** A run cannot be given that name or tag, that key or time. */
export class InvalidRunOptionError extends OrchestratorError {
  readonly code = 'INVALID_RUN_OPTION';

  constructor(
    readonly option: RunOptionName,
    problem: string,
  ) {
    super(`Option "${option}" of a new run ${problem}`);
  }
}

const MAX_TEXT = 200;
const MAX_TAGS = 100;

/** @throws {InvalidRunOptionError} when the options are beyond what a run can keep. */
export function checkedRunOptions(options: NewRunOptions): NewRunOptions {
  const { name, tags = [] } = options;
  if (name !== undefined && !isKeepable(name)) throw new InvalidRunOptionError('name', MUST_BE_KEEPABLE);
  if (tags.length > MAX_TAGS)
    throw new InvalidRunOptionError('tags', `has ${tags.length} entries; ${MAX_TAGS} are allowed.`);
  if (!tags.every(isKeepable)) throw new InvalidRunOptionError('tags', `has an entry that ${MUST_BE_KEEPABLE}`);
  return options;
}

const MUST_BE_KEEPABLE = `must have 1 to ${MAX_TEXT} characters and no NUL among them.`;

/** PostgreSQL's text holds no NUL. */
function isKeepable(text: string): boolean {
  return text.length > 0 && text.length <= MAX_TEXT && !text.includes('\0');
}

import { isStorable } from '../../persistence/storable-json.js';
import { InvalidConcurrencyLimitError } from './concurrency-errors.js';

/** How a concurrency limit is set. */
export interface ConcurrencyLimitSettings {
  /** How many slots it has; a whole number from 0. With 0 nothing that names it is executed: asking for a slot fails. */
  readonly limit?: number;
  /** Whether it holds. Default: it does. */
  readonly active?: boolean;
  /**
   * How many slots become free by themselves in a second, whoever took them; 0, or a number from 0.000001. This makes
   * it a rate limit: `limit` at once, and this many a second in the long run. Default 0: slots are free when whoever
   * holds them gives them back.
   */
  readonly slotDecayPerSecond?: number;
}

const MAX_NAME = 1_000;
/** Less is one slot in more than eleven days; far less would be no number any more where it is multiplied by a time. */
const MIN_DECAY = 0.000_001;
/** The largest `integer` of PostgreSQL. */
const MAX_LIMIT = 2_147_483_647;

/** @throws {InvalidConcurrencyLimitError} when a setting cannot be meant. */
export function checkedSettings(
  name: string,
  { limit, active, slotDecayPerSecond: decay }: ConcurrencyLimitSettings,
): ConcurrencyLimitSettings {
  const isName = typeof name === 'string' && name !== '' && name.length <= MAX_NAME && isStorable(name);
  const isLimit = limit === undefined || (Number.isInteger(limit) && limit >= 0 && limit <= MAX_LIMIT);
  const isDecay = decay === undefined || decay === 0 || (Number.isFinite(decay) && decay >= MIN_DECAY);
  const problem =
    (isName ? null : `a name has 1 to ${MAX_NAME} characters, no NUL among them`) ??
    (isLimit ? null : `its limit is ${limit} and must be a whole number from 0`) ??
    (isDecay ? null : `its slotDecayPerSecond is ${decay} and must be 0, or a number from ${MIN_DECAY}`);
  if (problem) throw new InvalidConcurrencyLimitError(name, problem);
  return {
    ...(limit !== undefined && { limit }),
    ...(active !== undefined && { active }),
    ...(decay !== undefined && { slotDecayPerSecond: decay }),
  };
}

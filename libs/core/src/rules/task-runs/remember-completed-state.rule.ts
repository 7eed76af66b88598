import { StateType } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { amend, pass, replace, type Rule } from '../../transitions/transition.js';

const MAX_CACHE_KEY = 2_000;

/** A completion is remembered under its cache key, unless it was remembered itself. A key that is too long costs only that. */
export const rememberCompletedState: Rule<TaskRun> = {
  name: 'remember-completed-state',
  from: 'any',
  to: [StateType.Completed],
  decide({ proposed }) {
    const { cacheKey, cacheExpiration } = proposed.details;
    if (cacheKey === undefined || proposed.name === 'Cached') return pass();
    if (cacheKey.length > MAX_CACHE_KEY) {
      return replace(
        proposed,
        `The cache key is longer than ${MAX_CACHE_KEY} characters: the outcome is not remembered.`,
      );
    }
    return amend({ effects: [{ kind: 'remember-state', cacheKey, expiresAt: cacheExpiration ?? null }] });
  },
};

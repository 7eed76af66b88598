import { StateType } from '../../states/state.js';
import type { TaskRun } from '../../transitions/run.js';
import { pass, replace, type Rule } from '../../transitions/transition.js';

/** A task run whose outcome is remembered under its cache key ends with that outcome instead of running. */
export const retrieveCachedState: Rule<TaskRun> = {
  name: 'retrieve-cached-state',
  from: 'any',
  to: [StateType.Running],
  needs: ({ proposed: { details } }) => (details.cacheKey === undefined || details.refreshCache ? [] : ['cachedState']),
  decide({ proposed }, { cachedState }) {
    const { cacheKey, refreshCache } = proposed.details;
    if (cacheKey === undefined || refreshCache || !cachedState) return pass();
    return replace({ ...cachedState, name: 'Cached' }, 'There is a remembered outcome for this cache key.');
  },
};

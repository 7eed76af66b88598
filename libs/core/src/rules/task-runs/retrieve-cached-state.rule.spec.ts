import { STATE_TYPES } from '../../states/state.js';
import { completed, running } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts } from '../../transitions/facts.js';
import type { TaskRun } from '../../transitions/run.js';
import { retrieveCachedState } from './retrieve-cached-state.rule.js';

const cachedState = completed({ data: { persisted: true, value: 'outcome' }, details: { cacheKey: 'k' } });

const verdictOf = (facts: Facts, proposed = running({ details: { cacheKey: 'k' } })) =>
  decide([retrieveCachedState], { run: { state: null } as TaskRun, proposed, now: instantOfMs(0) }, facts);

describe('retrieve-cached-state', () => {
  it('ends a run with what is remembered under its key [O17]', () => {
    expect(verdictOf({ cachedState })).toMatchObject({ kind: 'reject', state: { ...cachedState, name: 'Cached' } });
  });

  it('runs what nothing is remembered of', () => {
    expect(verdictOf({ cachedState: null }).kind).toBe('accept');
  });

  it('looks up runs with a key that are not to refresh it, and no others [O17]', () => {
    expect(verdictOf({})).toEqual({ kind: 'needs-facts', names: ['cachedState'] });
    expect(verdictOf({}, running()).kind).toBe('accept');
    expect(verdictOf({}, running({ details: { cacheKey: 'k', refreshCache: true } })).kind).toBe('accept');
  });

  it('looks at RUNNING only', () => {
    const asked = STATE_TYPES.filter(
      (type) => verdictOf({}, { type, name: type, message: null, details: { cacheKey: 'k' } }).kind === 'needs-facts',
    );
    expect(asked).toEqual(['RUNNING']);
  });
});

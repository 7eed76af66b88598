import { cached, completed, failed } from '../../states/states.js';
import { instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { TaskRun } from '../../transitions/run.js';
import { rememberCompletedState } from './remember-completed-state.rule.js';

const now = instantOfMs(0);
const cacheKey = 'k'.repeat(2_000);

const verdictOf = (proposed = completed({ details: { cacheKey } })) =>
  decide([rememberCompletedState], { run: { state: null } as TaskRun, proposed, now }, {});

describe('remember-completed-state', () => {
  it('remembers a completion under its key, without end unless told', () => {
    expect(verdictOf()).toMatchObject({ effects: [{ kind: 'remember-state', cacheKey, expiresAt: null }] });
    const expiring = completed({ details: { cacheKey, cacheExpiration: now } });
    expect(verdictOf(expiring)).toMatchObject({ effects: [{ kind: 'remember-state', cacheKey, expiresAt: now }] });
  });

  it('lets a run complete whose key is too long, and says that nothing is remembered', () => {
    const proposed = completed({ details: { cacheKey: `${cacheKey}k` } });
    expect(verdictOf(proposed)).toMatchObject({ kind: 'reject', state: proposed, effects: [] });
  });

  it.each([
    ['without a key', completed()],
    ['that was remembered itself', cached({ details: { cacheKey } })],
    ['that is a failure', failed({ details: { cacheKey } })],
  ])('remembers nothing of a state %s', (_, proposed) => {
    expect(verdictOf(proposed)).toMatchObject({ kind: 'accept', effects: [] });
  });
});

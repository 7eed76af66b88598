import type { ProposedState, StateType } from '../states/state.js';
import { awaitingRetry, completed, crashed, failed, pending, running } from '../states/states.js';
import { instantOfMs } from '../time/instant.js';
import { decide } from './decide.js';
import type { Effect } from './effect.js';
import type { Facts } from './facts.js';
import type { Run } from './run.js';
import { abort, amend, keep, pass, replace, wait, type Rule, type Ruling } from './transition.js';

const now = instantOfMs(1_800_000_000_000);
const scheduledTime = now;

/** A rule that looks at everything unless told otherwise, and notes what it was asked. */
function ruleThat(answers: Ruling | ((proposed: ProposedState) => Ruling), filter: Partial<Rule> = {}) {
  const asked: ProposedState[] = [];
  const rule: Rule = {
    name: 'a-rule',
    from: 'any',
    to: 'any',
    ...filter,
    decide({ proposed }) {
      asked.push(proposed);
      return typeof answers === 'function' ? answers(proposed) : answers;
    },
  };
  return { rule, asked };
}

function decideFrom(from: StateType | null, proposed: ProposedState, rules: { rule: Rule }[], facts: Facts = {}) {
  const run = { state: from && { type: from, details: {} } } as Run;
  return decide(
    rules.map(({ rule }) => rule),
    { run, proposed, now },
    facts,
  );
}

describe('decide', () => {
  it('accepts what no rule objects to', () => {
    const proposed = running();
    expect(decideFrom('PENDING', proposed, [])).toEqual({
      kind: 'accept',
      state: proposed,
      policy: {},
      startsOver: false,
      effects: [],
    });
    expect(decideFrom('PENDING', proposed, [ruleThat(pass())])).toEqual({
      kind: 'accept',
      state: proposed,
      policy: {},
      startsOver: false,
      effects: [],
    });
  });

  it('gives every rule the run, the proposal and the time', () => {
    const given: unknown[] = [];
    const rule: Rule = {
      name: 'a',
      from: 'any',
      to: 'any',
      decide: (transition, facts) => (given.push(transition, facts), pass()),
    };
    const run = { id: 'r', state: null } as Run;
    const facts = { reschedulable: true };
    decide([rule], { run, proposed: pending(), now }, facts);
    expect(given).toEqual([{ run, proposed: pending(), now }, facts]);
  });

  describe('whom it asks', () => {
    it.each<[string, Partial<Rule>, StateType | null, boolean]>([
      ['any move', {}, 'RUNNING', true],
      ['a move from and to listed types', { from: ['RUNNING'], to: ['FAILED'] }, 'RUNNING', true],
      ['a move from another type', { from: ['PENDING'], to: ['FAILED'] }, 'RUNNING', false],
      ['a move to another type', { from: ['RUNNING'], to: ['COMPLETED'] }, 'RUNNING', false],
      ['the first state, when listed', { from: [null], to: ['FAILED'] }, null, true],
      ['the first state, when not listed', { from: ['RUNNING'], to: ['FAILED'] }, null, false],
      ['a later state, when only the first is listed', { from: [null] }, 'RUNNING', false],
    ])('%s', (_, filter, from, expected) => {
      const { rule, asked } = ruleThat(pass(), filter);
      decideFrom(from, failed(), [{ rule }]);
      expect(asked).toHaveLength(expected ? 1 : 0);
    });

    it('asks in the order of the policy', () => {
      const order: string[] = [];
      const noting = (name: string) => ruleThat(() => (order.push(name), pass()));
      decideFrom('RUNNING', failed(), [noting('first'), noting('second'), noting('third')]);
      expect(order).toEqual(['first', 'second', 'third']);
    });
  });

  describe('a replacement', () => {
    it('is what the verdict says, with the reason', () => {
      const state = awaitingRetry({ scheduledTime });
      expect(decideFrom('RUNNING', failed(), [ruleThat(replace(state, 'Retries remain.'))])).toEqual({
        kind: 'reject',
        state,
        reason: 'Retries remain.',
        policy: {},
        startsOver: false,
        effects: [],
      });
    });

    it('of another type is not judged by later rules', () => {
      const later = ruleThat(abort('never'));
      expect(decideFrom('RUNNING', failed(), [ruleThat(replace(running(), 'again')), later]).kind).toBe('reject');
      expect(later.asked).toEqual([]);
    });

    it('of the same type is', () => {
      const later = ruleThat(abort('never'));
      const replacement = failed({ name: 'Other' });
      expect(decideFrom('RUNNING', failed(), [ruleThat(replace(replacement, 'no')), later]).kind).toBe('abort');
      expect(later.asked).toEqual([replacement]);
    });

    it('is what rules about the outcome see', () => {
      const later = ruleThat((proposed) => amend({ proposed: { ...proposed, name: 'Retrying' } }), {
        about: 'outcome',
        to: ['RUNNING'],
      });
      const verdict = decideFrom('RUNNING', failed(), [ruleThat(replace(running(), 'again')), later]);
      expect(later.asked).toEqual([running()]);
      expect(verdict).toMatchObject({ kind: 'reject', state: running({ name: 'Retrying' }), reason: 'again' });
    });

    it('is not seen by rules about the outcome that look at the proposed type only', () => {
      const later = ruleThat(abort('never'), { about: 'outcome', to: ['FAILED'] });
      expect(decideFrom('RUNNING', failed(), [ruleThat(replace(running(), 'again')), later]).kind).toBe('reject');
      expect(later.asked).toEqual([]);
    });

    it('gives way to a later one of a rule about the outcome, whose reason holds', () => {
      const last = ruleThat(replace(crashed(), 'second'), { about: 'outcome' });
      const verdict = decideFrom('RUNNING', failed(), [ruleThat(replace(running(), 'first')), last]);
      expect(verdict).toMatchObject({ state: crashed(), reason: 'second' });
    });
  });

  describe('an amendment', () => {
    it('is seen by later rules and keeps the proposal accepted', () => {
      const later = ruleThat(pass());
      const rules = [ruleThat((proposed) => amend({ proposed: { ...proposed, message: 'amended' } })), later];
      const state = failed({ message: 'amended' });
      expect(decideFrom('RUNNING', failed(), rules)).toEqual({
        kind: 'accept',
        state,
        policy: {},
        startsOver: false,
        effects: [],
      });
      expect(later.asked).toEqual([state]);
    });

    it('of the policy alone leaves the proposal as it is', () => {
      const proposed = failed();
      const rules = [ruleThat(amend({ policy: { retryType: null } }))];
      expect(decideFrom('RUNNING', proposed, rules)).toEqual({
        kind: 'accept',
        state: proposed,
        policy: { retryType: null },
        startsOver: false,
        effects: [],
      });
    });
  });

  describe('what ends the matter', () => {
    it.each<[string, Ruling]>([
      ['wait', wait(5, 'not yet')],
      ['abort', abort('never')],
      ['staying in the current state', keep('no')],
    ])('%s: later rules are not asked', (_, ruling) => {
      const later = ruleThat(pass());
      const verdict = decideFrom('RUNNING', failed(), [ruleThat(ruling), later]);
      expect(verdict).toMatchObject(ruling);
      expect(later.asked).toEqual([]);
    });

    it.each<[string, Ruling]>([
      ['wait', wait(5, 'not yet')],
      ['abort', abort('never')],
      ['staying in the current state', keep('no')],
    ])('%s: what earlier rules changed is dropped', (_, ruling) => {
      const earlier = ruleThat(amend({ policy: { retryType: 'in_process' } }));
      const verdict = decideFrom('RUNNING', failed(), [earlier, ruleThat(ruling)]);
      expect(verdict).toMatchObject(ruling);
      expect(verdict).not.toHaveProperty('policy.retryType');
    });
  });

  describe('facts', () => {
    const curious = () => ruleThat(pass(), { to: ['FAILED'], needs: ['reschedulable'] });

    it('are asked for when a rule that applies needs one that is missing', () => {
      const rule = curious();
      expect(decideFrom('RUNNING', failed(), [rule])).toEqual({ kind: 'needs-facts', names: ['reschedulable'] });
      expect(rule.asked).toEqual([]);
    });

    it.each([true, false])('are not asked for when they are there: %s', (reschedulable) => {
      const rule = curious();
      expect(decideFrom('RUNNING', failed(), [rule], { reschedulable }).kind).toBe('accept');
      expect(rule.asked).toHaveLength(1);
    });

    it('are not asked for by a rule that does not apply', () => {
      expect(decideFrom('RUNNING', completed(), [curious()]).kind).toBe('accept');
    });

    it('are not asked for by a rule that applied before the proposal was replaced', () => {
      expect(decideFrom('RUNNING', failed(), [ruleThat(replace(running(), 'again')), curious()]).kind).toBe('reject');
    });

    it('are asked for by what the transition takes', () => {
      const needs: Rule['needs'] = ({ proposed }) => (proposed.name === 'Late' ? ['reschedulable'] : []);
      const choosy = ruleThat(pass(), { needs });
      expect(decideFrom('RUNNING', failed(), [choosy]).kind).toBe('accept');
      expect(decideFrom('RUNNING', failed({ name: 'Late' }), [choosy]).kind).toBe('needs-facts');
    });

    it('that were looked for and are not there are not asked for again', () => {
      expect(decideFrom('RUNNING', failed(), [ruleThat(pass(), { needs: ['flowRun'] })], { flowRun: null }).kind).toBe(
        'accept',
      );
    });

    it('are not asked for once the matter has ended', () => {
      expect(decideFrom('RUNNING', failed(), [ruleThat(abort('never')), curious()]).kind).toBe('abort');
    });
  });

  describe('a change of policy', () => {
    const changing = (filter: Partial<Rule>) => ruleThat(amend({ policy: { resuming: true } }), filter);

    it('lasts when the state that is entered is one the rule looks at', () => {
      const verdict = decideFrom('RUNNING', failed(), [changing({ to: ['FAILED'] })]);
      expect(verdict).toMatchObject({ policy: { resuming: true } });
    });

    it('is dropped when a later rule put another state in the place of the one the rule looked at', () => {
      const verdict = decideFrom('RUNNING', failed(), [
        changing({ to: ['FAILED'] }),
        ruleThat(replace(running(), 'no')),
      ]);
      expect(verdict).toMatchObject({ kind: 'reject', policy: {} });
      expect(verdict).not.toHaveProperty('policy.resuming');
    });

    it('lasts when the rule looks at the replacement as well', () => {
      const rules = [changing({ to: ['FAILED', 'RUNNING'] }), ruleThat(replace(running(), 'no'))];
      expect(decideFrom('RUNNING', failed(), rules)).toMatchObject({ policy: { resuming: true } });
    });

    it('that comes with a replacement lasts with it, though the rule does not look at the replacement', () => {
      const retry = ruleThat(replace(running(), 'again', { policy: { retryType: 'in_process' } }), { to: ['FAILED'] });
      expect(decideFrom('RUNNING', failed(), [retry])).toMatchObject({ policy: { retryType: 'in_process' } });
    });

    it('that comes with a replacement goes with it', () => {
      const retry = ruleThat(replace(running(), 'again', { policy: { retryType: 'in_process' } }), { to: ['FAILED'] });
      const last = ruleThat(replace(crashed(), 'no'), { about: 'outcome', to: ['RUNNING'] });
      const verdict = decideFrom('RUNNING', failed(), [retry, last]);
      expect(verdict).toMatchObject({ state: crashed(), policy: {} });
      expect(verdict).not.toHaveProperty('policy.retryType');
    });

    it('adds to those of other rules, and the later one wins', () => {
      const verdict = decideFrom('RUNNING', failed(), [
        ruleThat(amend({ policy: { resuming: true, retryType: 'reschedule' } })),
        ruleThat(amend({ policy: { retryType: null } })),
      ]);
      expect(verdict).toMatchObject({ policy: { resuming: true, retryType: null } });
    });
  });

  describe('an effect', () => {
    const release: Effect = { kind: 'release-tag-slots' };
    const remember: Effect = { kind: 'remember-state', cacheKey: 'k', expiresAt: null };
    const causing = (effects: Effect[], filter: Partial<Rule> = {}) => ruleThat(amend({ effects }), filter);

    it('goes with the state that is entered, in the order of the rules', () => {
      const verdict = decideFrom('RUNNING', failed(), [causing([release]), causing([remember])]);
      expect(verdict).toMatchObject({ kind: 'accept', effects: [release, remember] });
    });

    it('is dropped when the rule does not look at the state that is entered in the end [O26]', () => {
      const rules = [causing([release], { to: ['FAILED'] }), ruleThat(replace(running(), 'again'))];
      expect(decideFrom('RUNNING', failed(), rules)).toMatchObject({ kind: 'reject', effects: [] });
    });

    it('lasts with the replacement it comes with', () => {
      const rules = [ruleThat(replace(running(), 'again', { effects: [release] }), { to: ['FAILED'] })];
      expect(decideFrom('RUNNING', failed(), rules)).toMatchObject({ kind: 'reject', effects: [release] });
    });

    it.each<[string, Ruling]>([
      ['wait', wait(5, 'not yet')],
      ['abort', abort('never')],
      ['staying in the current state', keep('no')],
    ])('does not happen on %s', (_, ruling) => {
      const verdict = decideFrom('RUNNING', failed(), [causing([release]), ruleThat(ruling)]);
      expect('effects' in verdict ? verdict.effects : []).toEqual([]);
    });
  });

  describe('a run that starts over', () => {
    const startingOver = ruleThat(amend({ startsOver: true, policy: { resuming: true } }));

    it('is told with the verdict', () => {
      expect(decideFrom('FAILED', running(), [startingOver])).toMatchObject({ startsOver: true });
      expect(decideFrom('FAILED', running(), [ruleThat(pass())])).toMatchObject({ startsOver: false });
    });

    it('is what later rules see, with its policy', () => {
      const seen: Run[] = [];
      const later: Rule = { name: 'later', from: 'any', to: 'any', decide: ({ run }) => (seen.push(run), pass()) };
      const run = { state: { type: 'FAILED' }, runCount: 3, policy: { retries: 2 } } as Run;
      decide([startingOver.rule, later], { run, proposed: running(), now }, {});
      expect(seen).toMatchObject([{ runCount: 0, policy: { retries: 2, resuming: true } }]);
      expect(run.runCount).toBe(3);
    });
  });

  it('changes neither the run nor the proposal', () => {
    const deepFrozen = Object.freeze({ ...failed(), details: Object.freeze({}) });
    const rules = [ruleThat((proposed) => amend({ proposed: { ...proposed, name: 'X' }, policy: { resuming: true } }))];
    expect(() => decideFrom('RUNNING', deepFrozen, rules)).not.toThrow();
  });
});

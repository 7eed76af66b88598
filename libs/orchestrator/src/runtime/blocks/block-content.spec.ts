import { Secret } from '../secrets/secret.js';
import { masked, partsOf, putSecrets } from './block-content.js';
import { defineSecretField } from './block-definition.js';

class Login {
  user?: unknown;
  token?: unknown;
  spare?: unknown;
}
defineSecretField(Login.prototype, 'token', { optional: false });
defineSecretField(Login.prototype, 'spare', { optional: true });
class TwoLogins extends Login {
  other?: unknown;
}
defineSecretField(TwoLogins.prototype, 'other', { optional: false });

const login = (fields: object): Login => Object.assign(new Login(), { token: new Secret('t') }, fields);

describe('a document in its parts', () => {
  it('is its data, without its secrets, wherever in it they are', () => {
    const document = {
      host: 'a',
      when: new Date(0),
      nothing: null,
      absent: undefined,
      list: [1, new Secret('in a list'), { deep: new Secret({ n: 1 }) }],
      'a/b~c': { '': new Secret('odd') },
    };
    const { data, secrets, problems } = partsOf(document);
    expect(problems).toEqual([]);
    expect(data).toEqual({
      host: 'a',
      when: '1970-01-01T00:00:00.000Z',
      nothing: null,
      list: [1, null, {}],
      'a/b~c': {},
    });
    expect([...secrets].map(([pointer, secret]) => [pointer, secret.reveal()])).toEqual([
      ['/list/1', 'in a list'],
      ['/list/2/deep', { n: 1 }],
      ['/a~1b~0c/', 'odd'],
    ]);
  });

  it('gets its secrets back where they were, or asterisks', () => {
    const document = { host: 'a', list: [new Secret('x'), { 'a/b~c': new Secret('y') }] };
    const { data, secrets } = partsOf(document);
    expect(masked(data, secrets.keys())).toEqual({ host: 'a', list: ['********', { 'a/b~c': '********' }] });
    expect(data).toEqual({ host: 'a', list: [null, {}] });

    const copy = structuredClone(data) as typeof document;
    putSecrets(copy, secrets.keys(), (pointer) => secrets.get(pointer));
    expect((copy.list[0] as Secret).reveal()).toBe('x');
    expect(partsOf(copy).secrets).toEqual(secrets);
  });

  it('changes nothing but the document, whatever a field is called', () => {
    const { data, secrets } = partsOf(JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 2}') as object);
    expect(JSON.stringify(data)).toBe('{"__proto__":{"polluted":1},"constructor":2}');
    expect(secrets.size).toBe(0);
    putSecrets({}, ['/__proto__/polluted', '/constructor/prototype/polluted'], () => 'yes');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it.each<[string, object, RegExp]>([
    ['a plain text where a secret belongs', login({ token: 'plain' }), /^token must be a Secret/],
    ['nothing where a secret belongs', login({ token: undefined }), /^token must be a Secret/],
    ['a plain text in a nested class', { login: login({ token: 'plain' }) }, /^token must be a Secret/],
    ['a field of a subclass', Object.assign(new TwoLogins(), { token: new Secret('t') }), /^other must be a Secret/],
    ['a function', { f: () => 1 }, /^\/f cannot be kept/],
    ['a bigint', { list: [1n] }, /^\/list\/0 cannot be kept/],
    ['NaN', { n: NaN }, /^\/n cannot be kept/],
    ['a NUL', { text: 'a\0' }, /^\/text cannot be kept/],
    ['a field that is called by a NUL', { '\0': 1 }, /^a field of it cannot be called/],
    ['a map', { map: new Map() }, /^\/map cannot be kept/],
    ['no time', { at: new Date(NaN) }, /^\/at cannot be kept/],
    ['itself', ((a: Record<string, unknown>) => (a.a = a))({}), /^\/a\/a.* cannot be kept/],
  ])('cannot have %s, and says where without saying what', (_, document, problem) => {
    const { problems } = partsOf(document);
    expect(problems).toEqual([expect.stringMatching(problem)]);
    expect(problems.join()).not.toContain('plain');
  });

  it('may lack a secret that is optional', () => {
    expect(partsOf(login({ spare: null })).problems).toEqual([]);
    expect(partsOf(login({ spare: 'plain' })).problems).toEqual([expect.stringMatching(/^spare must be a Secret/)]);
  });
});

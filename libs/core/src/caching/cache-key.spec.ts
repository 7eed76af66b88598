import * as fc from 'fast-check';
import { cacheKey, UncacheableInputError, type CacheMaterial } from './cache-key.js';
import {
  combined,
  DEFAULT_CACHE_POLICY,
  excluding,
  FLOW_PARAMETERS,
  INPUTS,
  NO_CACHE,
  RUN_ID,
  TASK_SOURCE,
  type CachePolicy,
} from './cache-policy.js';

const material: CacheMaterial = {
  taskKey: 'Orders.extract',
  inputs: { day: '2026-01-01', client: { id: 7 } },
  source: 'async extract() {}',
  flowParameters: { region: 'eu' },
  flowRunId: 'flow-run',
  taskRunId: 'task-run',
};
const keyOf = (policy: CachePolicy, change: Partial<CacheMaterial> = {}) =>
  cacheKey(policy, { ...material, ...change });
const same = (policy: CachePolicy, change: Partial<CacheMaterial>) => keyOf(policy) === keyOf(policy, change);

const CHANGES: Record<string, Partial<CacheMaterial>> = {
  inputs: { inputs: { ...material.inputs, day: '2026-01-02' } },
  source: { source: 'async extract() { return 1; }' },
  parameters: { flowParameters: { region: 'us' } },
  run: { flowRunId: 'other' },
};

describe('a cache key', () => {
  it.each<[string, CachePolicy, string[]]>([
    ['INPUTS', INPUTS, ['inputs']],
    ['TASK_SOURCE', TASK_SOURCE, ['source']],
    ['FLOW_PARAMETERS', FLOW_PARAMETERS, ['parameters']],
    ['RUN_ID', RUN_ID, ['run']],
    ['DEFAULT', DEFAULT_CACHE_POLICY, ['inputs', 'source', 'run']],
    ['INPUTS and FLOW_PARAMETERS', combined(INPUTS, FLOW_PARAMETERS), ['inputs', 'parameters']],
  ])('by %s differs with what the policy looks at, and with nothing else', (_, policy, expected) => {
    expect(keyOf(policy)).not.toBeNull();
    expect(Object.keys(CHANGES).filter((name) => !same(policy, CHANGES[name]!))).toEqual(expected);
  });

  it('does not depend on the order in which inputs are given', () => {
    expect(same(INPUTS, { inputs: { client: { id: 7 }, day: '2026-01-01' } })).toBe(true);
  });

  it.each([INPUTS, TASK_SOURCE, FLOW_PARAMETERS, RUN_ID, DEFAULT_CACHE_POLICY])(
    'is never shared by different tasks: %j',
    (policy) => {
      expect(same(policy, { taskKey: 'Orders.load' })).toBe(false);
    },
  );

  it.each<[string, CachePolicy, Partial<CacheMaterial>]>([
    ['that is not to be remembered', NO_CACHE, {}],
    ['by the parameters of a flow that has none', FLOW_PARAMETERS, { flowParameters: {} }],
    ['by the parameters of a flow, outside flows', FLOW_PARAMETERS, { flowParameters: null }],
    ['by a source that is not known', TASK_SOURCE, { source: null }],
    ['whose function gives none', { kind: 'function', keyOf: () => null }, {}],
  ])('of an outcome %s is null', (_, policy, change) => {
    expect(keyOf(policy, change)).toBeNull();
  });

  it('by a part that is null is made of the others', () => {
    const policy = combined(INPUTS, FLOW_PARAMETERS);
    expect(keyOf(policy, { flowParameters: null })).toBe(keyOf(INPUTS));
  });

  it('outside flows is by the task run', () => {
    expect(keyOf(RUN_ID, { flowRunId: null })).not.toBe(keyOf(RUN_ID, { flowRunId: null, taskRunId: 'other' }));
  });

  it('that the author’s function gives is taken as it is, by itself', () => {
    const byDay: CachePolicy = { kind: 'function', keyOf: ({ day }) => String(day) };
    expect(keyOf(byDay)).toBe('2026-01-01');
    expect(same(byDay, { taskKey: 'Orders.load' })).toBe(true);
    expect(same(combined(byDay, RUN_ID), { taskKey: 'Orders.load' })).toBe(false);
  });

  it('cannot be made of what has no data form, and says which input that is', () => {
    const change = { inputs: { day: '2026-01-01', call: () => undefined } };
    expect(() => keyOf(INPUTS, change)).toThrow(UncacheableInputError);
    expect(() => keyOf(DEFAULT_CACHE_POLICY, change)).toThrow('"call"');
    expect(keyOf(excluding(INPUTS, 'call'), change)).not.toBeNull();
  });

  it('tells parts of different kinds apart, also when their texts are equal', () => {
    expect(keyOf(RUN_ID, { flowRunId: 'x' })).not.toBe(keyOf(TASK_SOURCE, { source: 'x' }));
  });

  it('is equal exactly for equal inputs', () => {
    const inputs = fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean()), { maxKeys: 4 });
    fc.assert(
      fc.property(inputs, inputs, (one, other) => {
        const equal = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
        expect(keyOf(INPUTS, { inputs: one }) === keyOf(INPUTS, { inputs: other })).toBe(equal);
      }),
    );
  });
});

const sorted = (inputs: object) => Object.entries(inputs).sort(([a], [b]) => (a < b ? -1 : 1));

describe('cache policies', () => {
  it('combined are flat, with one look at the inputs', () => {
    const one = combined({ kind: 'inputs', exclude: ['a'] }, combined(RUN_ID, TASK_SOURCE));
    expect(combined(one, { kind: 'inputs', exclude: ['b', 'a'] })).toEqual({
      kind: 'compound',
      policies: [{ kind: 'inputs', exclude: ['a', 'b'] }, RUN_ID, TASK_SOURCE],
    });
  });

  it('combined with nothing are themselves', () => {
    expect(combined(RUN_ID, NO_CACHE)).toEqual(RUN_ID);
    expect(combined(NO_CACHE)).toEqual(NO_CACHE);
    expect(combined()).toEqual(NO_CACHE);
  });

  it('without an input do not look at it', () => {
    const policy = excluding(DEFAULT_CACHE_POLICY, 'day');
    expect(same(policy, CHANGES.inputs!)).toBe(true);
    expect(same(policy, { inputs: { ...material.inputs, client: { id: 8 } } })).toBe(false);
    expect(excluding(NO_CACHE, 'day')).toBe(NO_CACHE);
  });
});

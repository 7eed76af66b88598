import { encode } from '@nestor/core';
import { format, inspect } from 'node:util';
import { instanceToPlain } from 'class-transformer';
import { Secret } from './secret.js';

describe('a secret', () => {
  const secret = new Secret('hunter2');
  const around = { host: 'mail', nested: { password: secret } };

  it('is given to who asks for it', () => {
    expect(secret.reveal()).toBe('hunter2');
    expect(new Secret({ user: 'a', keys: [1, 2] }).reveal()).toEqual({ user: 'a', keys: [1, 2] });
  });

  it.each<[string, () => string]>([
    ['JSON', () => JSON.stringify(around)],
    ['inspection', () => inspect(around, { depth: 9 })],
    [
      'inspection of everything',
      () => inspect(around, { depth: 9, showHidden: true, getters: true, customInspect: false }),
    ],
    ['formatting', () => format('%s %o %O %j %d', secret, secret, secret, secret, secret)],
    ['a template', () => `${String(secret)} ${`${secret as unknown as string}`}`],
    ['an addition', () => 'x' + (secret as unknown as string)],
    ['its keys and entries', () => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret), { ...secret }])],
    ['a structured clone', () => inspect(structuredClone({ password: { ...secret } }))],
    ['class-transformer', () => JSON.stringify(instanceToPlain(around))],
    ['what is recorded of runs', () => encode(around)],
    [
      'the message of an error',
      () => new Error('failed', { cause: secret }).message + inspect(new Error('x', { cause: secret })),
    ],
  ])('is not shown by %s', (_, shown) => {
    expect(shown()).not.toMatch(/hunter2/);
  });

  it('shows as asterisks where a text is expected', () => {
    expect(JSON.stringify(around)).toBe('{"host":"mail","nested":{"password":"********"}}');
    expect(inspect(secret)).toBe('Secret(********)');
    expect(String(secret)).toBe('********');
  });
});

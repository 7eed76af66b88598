import { decode, encode } from '@nestor/core';
import { encodedArguments } from './encoded-arguments.js';

describe('encodedArguments', () => {
  const payloads = { encode: (value: unknown, subject: string) => encode(value, { subject }) };
  const roundTrip = (args: readonly unknown[]): unknown => decode(encodedArguments(args, payloads, 'arguments'));

  it.each([
    ['none', [], []],
    ['all that have a form', [1, { at: new Date(0) }, undefined], [1, { at: new Date(0) }, undefined]],
    ['undefined for one that has none', ['a', () => 'b', 'c'], ['a', undefined, 'c']],
    ['undefined for one that holds something without a form', [{ callback: () => 1 }, [2]], [undefined, [2]]],
  ])('gives %s', (_, args, expected) => {
    expect(roundTrip(args)).toEqual(expected);
  });

  it('throws what is no matter of the arguments', () => {
    const broken = {
      encode: (): string => {
        throw new RangeError('no memory');
      },
    };
    expect(() => encodedArguments([1], broken, 'arguments')).toThrow(RangeError);
  });
});

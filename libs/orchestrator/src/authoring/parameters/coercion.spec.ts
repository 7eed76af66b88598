import { coerced, kindOf } from './coercion.js';

describe('a value that is taken for a type', () => {
  it.each<[string, unknown, unknown, unknown]>([
    ['a number', Number, 5, 5],
    ['a number as text', Number, '5', 5],
    ['a number with spaces around it', Number, ' -0.5e3 ', -500],
    ['a big integer that a number can hold', Number, 7n, 7],
    ['a number that is not one, which is for rules to judge', Number, NaN, NaN],
    ['a text', String, '', ''],
    ['a number where a text is asked for', String, 12.5, '12.5'],
    ['a truth value where a text is asked for', String, false, 'false'],
    ['a big integer where a text is asked for', String, 12n, '12'],
    ['true', Boolean, true, true],
    ['true as text', Boolean, 'true', true],
    ['false as text', Boolean, 'false', false],
    ['one', Boolean, 1, true],
    ['zero as text', Boolean, '0', false],
    ['a date', Date, new Date(7), new Date(7)],
    ['a day', Date, '2026-11-25', new Date('2026-11-25T00:00:00Z')],
    ['an instant', Date, '2026-11-25T10:00:00.250+01:00', new Date('2026-11-25T09:00:00.250Z')],
    ['milliseconds since 1970', Date, 1_000, new Date(1_000)],
    ['a big integer', BigInt, 12n, 12n],
    ['a whole number', BigInt, 12, 12n],
    ['a whole number as text', BigInt, '-12345678901234567890', -12345678901234567890n],
    ['null, whatever is asked for', Number, null, null],
    ['nothing, whatever is asked for', Date, undefined, undefined],
    ['what nothing is converted to', Object, '5', '5'],
    ['what nothing is known of', undefined, '5', '5'],
  ])('%s', (_, type, value, expected) => {
    expect(coerced(type, value)).toEqual({ value: expected });
  });
});

describe('a value that cannot be taken for a type', () => {
  it.each<[string, unknown, unknown, string]>([
    ['words for a number', Number, 'abc', 'must be a number and is a text'],
    ['an empty text for a number', Number, ' ', 'must be a number and is a text'],
    ['infinity as text for a number', Number, 'Infinity', 'must be a number and is a text'],
    ['a truth value for a number', Number, true, 'must be a number and is a truth value'],
    ['a list for a number', Number, ['5'], 'must be a number and is a list'],
    ['a date for a number', Number, new Date(0), 'must be a number and is a date'],
    ['more digits than a number keeps', Number, '12345678901234567890', 'must be a number and is a text'],
    ['a big integer beyond a number', Number, 2n ** 64n, 'must be a number and is a big integer'],
    ['an object for a text', String, {}, 'must be a text and is an object'],
    ['a list for a text', String, [], 'must be a text and is a list'],
    ['another word for a truth value', Boolean, 'perhaps', 'must be true or false and is a text'],
    ['two for a truth value', Boolean, 2, 'must be true or false and is a number'],
    ['words for a date', Date, 'tomorrow', 'must be a date in the form of ISO 8601 and is a text'],
    ['a year alone for a date', Date, '2026', 'must be a date in the form of ISO 8601 and is a text'],
    ['a day that there is not', Date, '2026-13-45', 'must be a date in the form of ISO 8601 and is a text'],
    ['no date at all', Date, new Date(NaN), 'must be a date in the form of ISO 8601 and is no date'],
    ['a fraction for a whole number', BigInt, 0.5, 'must be a whole number and is a number'],
  ])('%s', (_, type, value, problem) => {
    expect(coerced(type, value)).toEqual({ problem });
  });
});

it.each<[unknown, string]>([
  [null, 'null'],
  [undefined, 'not given'],
  [new Map(), 'an object'],
])('%s is called %s', (value, name) => {
  expect(kindOf(value)).toBe(name);
});

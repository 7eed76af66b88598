import * as fc from 'fast-check';
import { canonicalText } from './canonical-text.js';
import { classCodec, ClassRegistry, type ClassCodec, type ErrorClass } from './class-registry.js';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { MalformedEncodingError } from './malformed-encoding-error.js';
import { RecordedError } from './recorded-error.js';

class Money {
  readonly #cents: bigint;
  constructor(
    cents: bigint,
    readonly currency: string,
  ) {
    this.#cents = cents;
  }
  get cents(): bigint {
    return this.#cents;
  }
}
class Discount extends Money {}
class Basket extends Array<Money> {}

const money = classCodec({
  name: 'Money',
  type: Money,
  encode: ({ cents, currency }) => ({ cents, currency }),
  decode: ({ cents, currency }) => new Money(cents, currency),
});
const basket = classCodec({
  name: 'shop.Basket',
  type: Basket,
  encode: (items) => [...items],
  decode: (items) => Basket.from(items),
});
const classes = new ClassRegistry([money, basket]);
const roundTrip = (value: unknown): unknown => decode(encode(value, { classes }), { classes });

describe('an instance of a registered class', () => {
  it('comes back as an instance, wherever it stands', () => {
    const value = { price: new Money(5n, 'EUR'), all: new Map([['a', new Set([new Money(1n, 'USD')])]]) };
    const back = roundTrip(value) as typeof value;
    expect(back.price).toBeInstanceOf(Money);
    expect(back.price.cents).toBe(5n);
    expect([...back.all.get('a')!][0]).toBeInstanceOf(Money);
  });

  it('may contain others, and be of a class that extends a built-in one', () => {
    const back = roundTrip(Basket.of(new Money(1n, 'EUR'), new Money(2n, 'EUR'))) as Basket;
    expect(back).toBeInstanceOf(Basket);
    expect(back.map(({ cents }) => cents)).toEqual([1n, 2n]);
  });

  it('comes back among any data, whose round trip stays exact', () => {
    const amount = fc.tuple(fc.bigInt(), fc.string({ unit: 'binary', maxLength: 4 }));
    const data = fc.anything({ withMap: true, withSet: true, withBigInt: true, withDate: true, withTypedArray: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(amount, data), { maxLength: 4 }), (items) => {
        const value = items.map(([[cents, currency], other]) => ({ price: new Money(cents, currency), other }));
        const text = encode(value, { classes });
        const back = decode(text, { classes }) as typeof value;
        expect(back.map(({ price }) => [price.cents, price.currency])).toEqual(items.map(([price]) => price));
        expect(encode(back, { classes })).toBe(text);
      }),
      { numRuns: 300 },
    );
  });

  it('of a subclass is one of the class, unless the subclass has a codec of its own', () => {
    const back = roundTrip(new Discount(3n, 'EUR'));
    expect(back).toBeInstanceOf(Money);
    expect(back).not.toBeInstanceOf(Discount);
    const both = new ClassRegistry([
      money,
      classCodec({
        name: 'Discount',
        type: Discount,
        encode: ({ cents }) => cents,
        decode: (c) => new Discount(c, '%'),
      }),
    ]);
    expect(decode(encode(new Discount(3n, '%'), { classes: both }), { classes: both })).toBeInstanceOf(Discount);
  });

  it('is plain data where its class is not registered', () => {
    const text = encode({ price: new Money(5n, 'EUR') }, { classes });
    expect(decode(text)).toEqual({ price: { cents: 5n, currency: 'EUR' } });
    expect(decode(text, { classes: new ClassRegistry([basket]) })).toEqual({ price: { cents: 5n, currency: 'EUR' } });
  });

  it('cannot be made of plain data that looks like its encoding', () => {
    const forged = { $nestor: 'class', name: 'Money', value: { cents: 1n, currency: 'EUR' } };
    expect(roundTrip(forged)).toEqual(forged);
    expect(roundTrip(forged)).not.toBeInstanceOf(Money);
  });

  it('is hashed by what its codec writes', () => {
    const [one, same, other] = [new Money(1n, 'EUR'), new Money(1n, 'EUR'), new Money(2n, 'EUR')];
    expect(canonicalText(one, { classes })).toBe(canonicalText(same, { classes }));
    expect(canonicalText(one, { classes })).not.toBe(canonicalText(other, { classes }));
    expect(canonicalText(one)).toBe(canonicalText(other)); // private fields are not seen without a codec
  });

  const failing = (over: Partial<ClassCodec>) => new ClassRegistry([{ ...money, ...over }]);
  it.each<[string, Partial<ClassCodec>, object]>([
    ['throws', { encode: () => { throw new Error('closed'); } }, { path: '$.price<Money>', found: expect.stringMatching(/codec cannot encode/), cause: new Error('closed') }],
    ['gives what has no form', { encode: () => ({ then: () => 1 }) }, { path: '$.price<Money>.then' }],
    ['gives a promise', { encode: () => Promise.resolve(1) }, { path: '$.price<Money>', found: 'a promise' }],
    ['gives the instance itself', { encode: (value) => value }, { found: 'a reference back to $.price' }],
    ['gives ever more instances', { encode: () => new Money(1n, '') }, { found: expect.stringMatching(/levels deep/) }],
  ])('is refused with its place when its codec %s', (_, over, refusal) => {
    expect(() => encode({ price: new Money(1n, 'EUR') }, { classes: failing(over) })).toThrow(
      expect.objectContaining({ code: 'UNSERIALISABLE_VALUE', ...refusal }),
    );
  }); // prettier-ignore

  it('is malformed when its codec does not take what is recorded', () => {
    const text = encode(new Money(1n, 'EUR'), { classes });
    const refusing = failing({ decode: () => { throw new RangeError('no such currency'); } }); // prettier-ignore
    expect(() => decode(text, { classes: refusing })).toThrow(MalformedEncodingError);
    expect(() => decode(text, { classes: refusing })).toThrow(/codec "Money" .*no such currency/);
  });
});

describe('an error of a registered class', () => {
  class CardDeclined extends Error {
    override name = 'CardDeclined';
    readonly code = 'CARD_DECLINED';
    constructor(
      readonly card: { last4: string },
      options?: ErrorOptions,
    ) {
      if (typeof card.last4 !== 'string') throw new TypeError('The constructor was called without its arguments.');
      super(`Card ${card.last4} was declined`, options);
    }
    get isFinal(): boolean {
      return this.card.last4 === '0000';
    }
    get retryable(): boolean {
      return false;
    }
  }
  const withErrors = new ClassRegistry([], [CardDeclined]);
  const recorded = (error: unknown): any => decode(encode(error), { classes: withErrors });

  it('comes back as an instance with all its data, and its constructor is not called', () => {
    const error = new CardDeclined({ last4: '0000' }, { cause: new RangeError('limit') });
    const back = recorded(error);
    expect(back).toBeInstanceOf(CardDeclined);
    expect(back).toMatchObject({ name: 'CardDeclined', code: 'CARD_DECLINED', card: { last4: '0000' }, isFinal: true });
    expect([back.message, back.stack]).toEqual([error.message, error.stack]);
    expect(back.cause).toBeInstanceOf(RangeError);
    expect(Object.prototype.toString.call(back)).toBe('[object Error]');
  });

  it('does so as a cause, in a list of errors and inside data', () => {
    const declined = (): CardDeclined => new CardDeclined({ last4: '1' });
    expect(recorded(new Error('x', { cause: declined() })).cause).toBeInstanceOf(CardDeclined);
    expect(recorded(new AggregateError([declined()])).errors[0]).toBeInstanceOf(CardDeclined);
    expect(recorded({ failures: [declined()] }).failures[0]).toBeInstanceOf(CardDeclined);
  });

  it('stays what it is when it is recorded again', () => {
    const text = encode(new CardDeclined({ last4: '1' }));
    expect(encode(decode(text, { classes: withErrors }))).toBe(text);
  });

  it('keeps a field that the class has an accessor for', () => {
    const text = encode(new CardDeclined({ last4: '1' })).replace('"fields":{', '"fields":{"retryable":true,');
    expect(decode(text, { classes: withErrors })).toMatchObject({ retryable: true });
  });

  it('is a RecordedError where it is not registered, and when it is of a subclass', () => {
    class Expired extends CardDeclined {}
    expect(decode(encode(new CardDeclined({ last4: '1' })))).toBeInstanceOf(RecordedError);
    expect(recorded(new Expired({ last4: '1' }))).toBeInstanceOf(RecordedError);
  });

  it('may have a codec, which makes it itself', () => {
    const codec = classCodec({
      name: 'CardDeclined',
      type: CardDeclined,
      encode: ({ card }) => card,
      decode: (card) => new CardDeclined(card),
    });
    const both = new ClassRegistry([codec], [CardDeclined]);
    const back = decode(encode(new CardDeclined({ last4: '7' }), { classes: both }), { classes: both });
    expect(back).toBeInstanceOf(CardDeclined);
    expect(back).toMatchObject({ card: { last4: '7' }, message: 'Card 7 was declined' });
  });
});

describe('a registry', () => {
  const codec = (over: object): ClassCodec => ({ ...money, ...over });
  it.each<[string, ClassCodec[], ErrorClass[], string, RegExp]>([
    ['two codecs of one name', [money, codec({ type: Basket })], [], 'CLASS_REGISTERED_TWICE', /"codecs".*"Money"/],
    ['two codecs of one class', [money, codec({ name: 'Cash' })], [], 'CLASS_REGISTERED_TWICE', /"Cash"/],
    ['a codec without a name', [codec({ name: '' })], [], 'INVALID_CLASS_CODEC', /name/],
    ['a codec with a name that cannot be printed', [codec({ name: 'a\0' })], [], 'INVALID_CLASS_CODEC', /name/],
    ['a codec without a class', [codec({ type: undefined })], [], 'INVALID_CLASS_CODEC', /a class/],
    ['a codec for all objects', [codec({ type: Object })], [], 'INVALID_CLASS_CODEC', /a class of its own/],
    ['a codec for all arrays', [codec({ type: Array })], [], 'INVALID_CLASS_CODEC', /a class of its own/],
    ['a codec without decode', [codec({ decode: undefined })], [], 'INVALID_CLASS_CODEC', /encode and decode/],
    ['two errors of one name', [], [class Gone extends Error {}, class Gone extends Error {}], 'CLASS_REGISTERED_TWICE', /"errors".*"Gone"/],
    ['an error that is none', [], [Money as unknown as ErrorClass], 'INVALID_CLASS_CODEC', /extend Error/],
    ['an error without a name', [], [class extends Error {}], 'INVALID_CLASS_CODEC', /without a name/],
    ['an error of a name the language has', [], [class TypeError extends Error {}], 'INVALID_CLASS_CODEC', /language/],
  ])('refuses %s', (_, codecs, errors, code, message) => {
    const make = (): unknown => new ClassRegistry(codecs, errors);
    expect(make).toThrow(expect.objectContaining({ code }));
    expect(make).toThrow(message);
  }); // prettier-ignore
});

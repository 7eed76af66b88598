/** What came of taking a value for a type. */
type Coercion = { readonly value: unknown } | { readonly problem: string };

interface Kind {
  /** What the value must be: `a number`. */
  readonly called: string;
  /** The value as one; `undefined` when it cannot be taken for one without a guess. */
  readonly from: (value: unknown) => unknown;
}

const WHOLE_NUMBER = /^[+-]?\d+$/;
/** Other texts `Date` reads as well, each engine in its way. */
const ISO_DATE = /^[+-]?\d{4,6}-\d{2}(-\d{2}(T.*)?)?$/;

const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...([true, 'true', '1', 1] as const).map((value) => [value, true] as const),
  ...([false, 'false', '0', 0] as const).map((value) => [value, false] as const),
]);

/** By the class that TypeScript records for the type. */
const KINDS: ReadonlyMap<unknown, Kind> = new Map<unknown, Kind>([
  [String, { called: 'a text', from: textFrom }],
  [Number, { called: 'a number', from: numberFrom }],
  [Boolean, { called: 'true or false', from: (value) => BOOLEANS.get(value) }],
  [Date, { called: 'a date in the form of ISO 8601', from: dateFrom }],
  [BigInt, { called: 'a whole number', from: bigIntFrom }],
]);

/** Whether values can be converted to the type: it is a text, a number, a truth value or a date. */
export function isCoercible(type: unknown): boolean {
  return KINDS.has(type);
}

/**
 * A value as one of the type, where it can be taken for one: a number that came as text. `null` and `undefined` stay what
 * they are, for whether they may stand there is not seen in a type; so do values of types that nothing is converted to.
 */
export function coerced(type: unknown, value: unknown): Coercion {
  const kind = value === undefined || value === null ? undefined : KINDS.get(type);
  if (!kind) return { value };
  const converted = kind.from(value);
  return converted === undefined ? { problem: `must be ${kind.called} and is ${kindOf(value)}` } : { value: converted };
}

function textFrom(value: unknown): unknown {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? `${value}` : undefined;
}

function numberFrom(value: unknown): unknown {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' && typeof value !== 'bigint') return undefined;
  const text = String(value).trim();
  const number = text === '' ? NaN : Number(text);
  if (!Number.isFinite(number)) return undefined;
  // A number that loses digits is another one: an id, most likely.
  return WHOLE_NUMBER.test(text) && !Number.isSafeInteger(number) ? undefined : number;
}

function dateFrom(value: unknown): unknown {
  const isDateLike = typeof value === 'number' || (typeof value === 'string' && ISO_DATE.test(value));
  const date = value instanceof Date ? value : isDateLike ? new Date(value) : null;
  return date === null || Number.isNaN(date.getTime()) ? undefined : date;
}

function bigIntFrom(value: unknown): unknown {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && WHOLE_NUMBER.test(value.trim()) ? BigInt(value.trim()) : undefined;
}

/** What a value is, for messages, without a word of what it says. */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'no date' : 'a date';
  switch (typeof value) {
    case 'string':
      return 'a text';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'a truth value';
    case 'bigint':
      return 'a big integer';
    case 'undefined':
      return 'not given';
    default:
      return 'an object';
  }
}

/** What JSON can hold, as `JSON.stringify` and `JSON.parse` have it. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue | undefined };

/**
 * A type as it is where JSON has words for it, and `never` in the places where it has none: an interface fits as well, which
 * {@link JsonValue} does not take.
 */
export type JsonCompatible<T> = T extends null | boolean | number | string
  ? T
  : T extends ((...args: never[]) => unknown) | { toJSON: unknown }
    ? never
    : T extends object
      ? { [K in keyof T]: JsonCompatible<T[K]> | Extract<T[K], undefined> }
      : never;

/** Whether PostgreSQL takes a text as it is: it holds neither NUL nor lone surrogates. */
export function isStorable(text: string): boolean {
  return !UNSTORABLE.test(text);
}

const UNSTORABLE = /[\0\ud800-\udfff]/u; // with the flag `u`, surrogates match only outside a pair

/**
 * A text that PostgreSQL takes: its `text` holds no NUL, which becomes `\0` spelt out, and no lone surrogate, which becomes
 * the replacement character.
 */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\\0').replace(/[\ud800-\udfff]/gu, '\ufffd');
}

/**
 * The JSON text of a value, such as `jsonb` takes it: the same goes for its strings and keys. See
 * https://www.postgresql.org/docs/current/datatype-json.html
 */
export function storableJson(value: unknown): string {
  // `JSON.stringify` escapes control characters and, of surrogates, only those that are no pair.
  return JSON.stringify(value).replace(/\\(?:u([0-9a-f]{4})|.)/g, (escape, code: string | undefined) => {
    if (code === '0000') return '\\\\0';
    return code !== undefined && /^d[89a-f]/.test(code) ? '\ufffd' : escape;
  });
}

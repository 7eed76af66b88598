/** What stands in the place of a secret wherever somebody might see it. */
export const SECRET_MASK = '********';

/**
 * A value that shows itself to nobody but who asks for it with {@link reveal}.
 *
 * It is no property of anything: `JSON.stringify`, `util.inspect`, `console.log`, template strings, spreading, copying and
 * what is recorded of runs get eight asterisks, or nothing. Two secrets look equal to whatever compares properties.
 *
 * @typeParam T data that JSON has words for; a string by default.
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  /** The value itself. Keep it out of messages and of what tasks return. */
  reveal(): T {
    return this.#value;
  }

  toString(): string {
    return SECRET_MASK;
  }

  toJSON(): string {
    return SECRET_MASK;
  }

  /** What `util.inspect` and `console.log` ask for. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Secret(${SECRET_MASK})`;
  }
}

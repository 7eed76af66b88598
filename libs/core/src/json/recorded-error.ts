/**
 * An error that came back from its record and whose class is not one of the language's own.
 *
 * It has the `name`, `message`, `stack`, `cause` and `code` of the original, and the original's data fields under their
 * own names, so `error.code === 'CARD_DECLINED'` and `error.retryAfterMs` work as before. `instanceof` the original
 * class does not: match on `name` or `code`.
 */
export class RecordedError extends Error {
  /** The `code` of the original, if it had one. */
  declare readonly code?: string | number;

  /** The name of the original's class: `HttpError` even where `name` says `Error` or `E_HTTP`. */
  declare readonly className: string;

  constructor(className: string, message: string) {
    super(message);
    Object.defineProperty(this, 'className', { value: className, configurable: true });
  }
}

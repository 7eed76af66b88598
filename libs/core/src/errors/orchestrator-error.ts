/**
 * The base of every error this package throws on purpose.
 *
 * A message says what happened, to which thing, and what to try. The `code` is stable across releases: match on it,
 * never on the message. Subclasses carry the facts of the message as readonly fields; the error that led here, if any,
 * is kept in `cause`.
 */
export abstract class OrchestratorError extends Error {
  /** Upper-case words joined by `_`, for example `FLOW_REGISTERED_TWICE`. Never changes once released. */
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

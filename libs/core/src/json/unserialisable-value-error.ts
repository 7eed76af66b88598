import { OrchestratorError } from '../errors/orchestrator-error.js';

/** What `UnserialisableValueError` says. */
interface UnserialisableValue {
  /** What the value is, for example `result of task "load"`. */
  readonly subject: string;
  /** Where in the value, for example `$.items[3].callback`; `$` is the value itself. */
  readonly path: string;
  /** What stands there, for example `a function`. */
  readonly found: string;
  /** What the author can do about it. */
  readonly remedy: string;
}

/** A value that cannot be written down and read back: it contains a function, a promise, a cycle, or nests too deeply. */
export class UnserialisableValueError extends OrchestratorError {
  readonly code = 'UNSERIALISABLE_VALUE';
  readonly subject: string;
  readonly path: string;
  readonly found: string;

  constructor({ subject, path, found, remedy }: UnserialisableValue, options?: ErrorOptions) {
    super(`The ${subject} cannot be recorded: ${path} is ${found}; ${remedy}.`, options);
    this.subject = subject;
    this.path = path;
    this.found = found;
  }
}

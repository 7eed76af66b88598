import { decode, encode, UnserialisableValueError } from '@nestor/core';
import type { Attempt, AttemptEnd } from './attempt.js';
import { RunTimeoutError } from './engine-errors.js';
import { callAfter } from './wait-until.js';

/** How one attempt of a body ended. */
export type Outcome =
  | { readonly kind: 'returned'; readonly encoded: string }
  | { readonly kind: 'threw'; readonly error: unknown; readonly timedOut: boolean }
  /** Somebody ended the attempt while the body was running: the run around it is over, or the process stops. */
  | { readonly kind: 'cut-off'; readonly end: AttemptEnd };

/** What an attempt runs, and what it is told apart by. */
interface Body {
  /** What is run, for messages: `flow "nightly-import"`. */
  readonly subject: string;
  readonly run: () => Promise<unknown>;
  /** `null` for no limit. */
  readonly timeoutMs: number | null;
}

/**
 * Runs a body to its outcome; never rejects. Afterwards the attempt is over, also for code of it that goes on: nobody
 * listens to that any more, and its calls start nothing. The body of an attempt that is over is not run.
 */
export function outcomeOf({ subject, run, timeoutMs }: Body, attempt: Attempt): Promise<Outcome> {
  if (attempt.ended) return Promise.resolve({ kind: 'cut-off', end: attempt.ended });
  return new Promise((resolve) => {
    let stopTimer = (): void => undefined;
    const settle = (outcome: Outcome, reason: string): void => {
      stopTimer();
      attempt.onCutOff = null;
      attempt.end(reason);
      resolve(outcome); // only the first one counts
    };
    // What a body throws that was asked to end is how it ends, not a failure of its own.
    const threw = (error: unknown): void =>
      settle(
        attempt.ended ? { kind: 'cut-off', end: attempt.ended } : { kind: 'threw', error, timedOut: false },
        'its attempt is over',
      );

    attempt.onCutOff = (end) => settle({ kind: 'cut-off', end }, end.reason);
    if (timeoutMs !== null) {
      stopTimer = callAfter(timeoutMs, () => {
        const error = new RunTimeoutError(attempt.runName, timeoutMs);
        settle({ kind: 'threw', error, timedOut: true }, 'it timed out');
      });
    }
    try {
      run().then((value) => {
        try {
          const encoded = encode(value, { subject: `result of ${subject}` });
          settle({ kind: 'returned', encoded }, 'its attempt is over');
        } catch (error) {
          threw(error);
        }
      }, threw);
    } catch (error) {
      threw(error); // a guard of the method threw before it returned its promise
    }
  });
}

/** The encoded form of whatever was thrown. Of an error everything that can be kept is; anything else may have no form. */
export function encodeError(error: unknown): string {
  try {
    return encode(error);
  } catch (encodeFailure) {
    if (!(encodeFailure instanceof UnserialisableValueError)) throw encodeFailure;
    return encode(new Error(failureMessage(error)));
  }
}

/** What the caller gets: the recorded value, live and replayed alike. */
export function recorded(encoded: string): unknown {
  return decode(encoded);
}

const MAX_MESSAGE = 10_000;

/** `TypeError: x is not a function`: the message of a failed state, bounded because people read it. */
export function failureMessage(error: unknown): string {
  const text = textOf(error).replaceAll('\0', '\\0'); // PostgreSQL's text holds no NUL
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
}

function textOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : `Thrown: ${String(error)}`;
  } catch {
    return 'Thrown: an object that cannot be shown'; // its `toString` is missing, or throws itself
  }
}

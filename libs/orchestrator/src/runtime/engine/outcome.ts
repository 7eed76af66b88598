import type { Payloads } from '../payloads/payloads.service.js';
import type { Attempt, AttemptEnd } from './attempt.js';
import { RunTimeoutError } from './engine-errors.js';
import { callAfter } from './wait-until.js';

/** How one attempt of a body ended. */
export type Outcome =
  | { readonly kind: 'returned'; readonly encoded: string; /** What its row holds. */ readonly stored: string }
  | { readonly kind: 'threw'; readonly error: unknown; readonly timedOut: boolean }
  /** Somebody ended the attempt while the body was running: the run around it is over, or the process stops. */
  | { readonly kind: 'cut-off'; readonly end: AttemptEnd };

/** What an attempt runs, and what it is told apart by. */
interface Body {
  /** What is run, for messages: `flow "nightly-import"`. */
  readonly subject: string;
  readonly runId: string;
  readonly run: () => Promise<unknown>;
  /** `null` for no limit. */
  readonly timeoutMs: number | null;
}

/**
 * Runs a body to its outcome; never rejects. Afterwards the attempt is over, also for code of it that goes on: nobody
 * listens to that any more, and its calls start nothing. The body of an attempt that is over is not run.
 *
 * What the body returned is encoded and, where it does not fit into its row, kept before it counts as returned. Once the
 * body has returned, its attempt is over: keeping takes as long as it takes, as writing the row does.
 */
export function outcomeOf(
  { subject, runId, run, timeoutMs }: Body,
  attempt: Attempt,
  payloads: Payloads,
): Promise<Outcome> {
  if (attempt.ended) return Promise.resolve({ kind: 'cut-off', end: attempt.ended });
  return new Promise((resolve) => {
    let stopTimer = (): void => undefined;
    const finish = (reason: string): void => {
      stopTimer();
      attempt.onCutOff = null;
      attempt.end(reason);
    };
    const settle = (outcome: Outcome, reason: string): void => {
      finish(reason);
      resolve(outcome); // only the first one counts
    };
    // What a body throws that was asked to end is how it ends, not a failure of its own.
    const threw = (error: unknown): void =>
      settle(
        attempt.ended ? { kind: 'cut-off', end: attempt.ended } : { kind: 'threw', error, timedOut: false },
        'its attempt is over',
      );
    const returned = (value: unknown): void => {
      const context = { runId, subject: `result of ${subject}` };
      const encoded = payloads.encode(value, context.subject);
      const sealed = payloads.seal(encoded, context);
      if (typeof sealed === 'string') {
        settle({ kind: 'returned', encoded, stored: sealed }, 'its attempt is over');
      } else {
        finish('its attempt is over');
        sealed.then(
          (stored) => resolve({ kind: 'returned', encoded, stored }),
          (error: unknown) => resolve({ kind: 'threw', error, timedOut: false }),
        );
      }
    };

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
          returned(value);
        } catch (error) {
          threw(error); // it has no form
        }
      }, threw);
    } catch (error) {
      threw(error); // a guard of the method threw before it returned its promise
    }
  });
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

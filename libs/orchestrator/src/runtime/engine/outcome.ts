import { failed, isTerminal, StateType, stateAmong, type ProposedState } from '@nestor/core';
import type { Payloads } from '../payloads/payloads.service.js';
import type { Attempt, AttemptEnd } from './attempt.js';
import { ReturnedStateError, RunTimeoutError } from './engine-errors.js';
import { callAfter } from './wait-until.js';

/** How one attempt of a body ended. */
export type Outcome =
  | {
      readonly kind: 'returned';
      readonly encoded: string;
      /** What its row holds. */
      readonly stored: string;
      /** The state that it asked for; `null` for an ordinary value. */
      readonly state: ProposedState | null;
    }
  | {
      readonly kind: 'threw';
      readonly error: unknown;
      readonly timedOut: boolean;
      /** The state that it asked for, by returning it; `null` when it threw. */
      readonly state: ProposedState | null;
    }
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
  /** `null` when the body may begin; otherwise it is asked again when the promise resolves. See `ProcessLease.clearance`. */
  readonly clearance: (() => Promise<void> | null) | null;
}

/**
 * Runs a body to its outcome; never rejects. Afterwards the attempt is over, also for code of it that goes on: nobody
 * listens to that any more, and its calls start nothing. The body of an attempt that is over is not run; nor is one before
 * it is known that nobody else runs it. The time it may take counts from its beginning.
 *
 * What the body returned is encoded and, where it does not fit into its row, kept before it counts as returned. Once the
 * body has returned, its attempt is over: keeping takes as long as it takes, as writing the row does.
 */
export function outcomeOf(
  body: Body,
  attempt: Attempt,
  payloads: Payloads,
  startTimer: typeof callAfter = callAfter,
): Promise<Outcome> {
  if (attempt.ended) return Promise.resolve({ kind: 'cut-off', end: attempt.ended });
  return new Promise((resolve) => new BodyRun(body, attempt, payloads, startTimer, resolve).start());
}

/** A body that is running. An object with methods, because there is one for every task of a large fan-out. */
class BodyRun {
  private stopTimer: (() => void) | null = null;

  constructor(
    private readonly body: Body,
    private readonly attempt: Attempt,
    private readonly payloads: Payloads,
    private readonly startTimer: typeof callAfter,
    /** Only the first call counts. */
    private readonly resolve: (outcome: Outcome) => void,
  ) {}

  start(): void {
    this.attempt.onCutOff = (end) => this.settle({ kind: 'cut-off', end });
    this.begin();
  }

  private begin(): void {
    const { attempt, body } = this;
    if (attempt.ended) return this.settle({ kind: 'cut-off', end: attempt.ended });
    const cleared = body.clearance?.() ?? null;
    if (cleared) return void cleared.then(() => this.begin());
    const { timeoutMs } = body;
    if (timeoutMs !== null) this.stopTimer = this.startTimer(timeoutMs, () => this.timeOut(timeoutMs));
    try {
      body.run().then(
        (value) => this.returned(value),
        (error: unknown) => this.threw(error),
      );
    } catch (error) {
      this.threw(error); // a guard of the method threw before it returned its promise
    }
  }

  private returned(returned: unknown): void {
    const state = stateAmong(returned);
    if (state && state.type !== StateType.Completed) return this.returnedFailure(state, returned);
    const value = state ? valueOf(returned, state) : returned;
    try {
      const context = { runId: this.body.runId, subject: `result of ${this.body.subject}` };
      const encoded = this.payloads.encode(value, context.subject);
      const sealed = this.payloads.seal(encoded, context);
      if (typeof sealed === 'string') return this.settle({ kind: 'returned', encoded, stored: sealed, state });
      this.finish();
      sealed.then(
        (stored) => this.resolve({ kind: 'returned', encoded, stored, state }),
        (error: unknown) => this.resolve({ kind: 'threw', error, timedOut: false, state: null }),
      );
    } catch (error) {
      this.threw(error); // it has no form
    }
  }

  /** A state that is no success ends the attempt as an error would; one that is no end at all is a mistake. */
  private returnedFailure(state: ProposedState, returned: unknown): void {
    const message = state.message ?? `It returned a state that is no end of a run: ${state.type}.`;
    const ending = isTerminal(state.type) ? state : failed({ message });
    const given = returned === state ? (returned as { readonly error?: unknown }).error : undefined;
    const error = given ?? new ReturnedStateError(this.attempt.runName, ending);
    this.settle({ kind: 'threw', error, timedOut: false, state: ending });
  }

  /** What a body throws that was asked to end is how it ends, not a failure of its own. */
  private threw(error: unknown): void {
    const { ended } = this.attempt;
    this.settle(ended ? { kind: 'cut-off', end: ended } : { kind: 'threw', error, timedOut: false, state: null });
  }

  private timeOut(timeoutMs: number): void {
    const error = new RunTimeoutError(this.attempt.runName, timeoutMs);
    this.attempt.onCutOff = null; // this is how it ends
    this.attempt.end('it timed out');
    this.settle({ kind: 'threw', error, timedOut: true, state: null });
  }

  private settle(outcome: Outcome): void {
    this.finish();
    this.resolve(outcome);
  }

  private finish(): void {
    this.stopTimer?.();
    this.attempt.onCutOff = null;
    this.attempt.finish();
  }
}

/** What the caller of a body that returned a state gets: what an author's state carries; states of other runs as they stand. */
function valueOf(returned: unknown, state: ProposedState): unknown {
  return returned === state ? (returned as { readonly result?: unknown }).result : returned;
}

const MAX_MESSAGE = 10_000;

/** `TypeError: x is not a function`: the message of a failed state, bounded because people read it. */
export function failureMessage(error: unknown): string {
  const text = textOf(error).replaceAll('\0', '\\0'); // PostgreSQL's text holds no NUL
  return text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE)}…` : text;
}

/** What a log shows of an error: where it came from, if that is known. */
export function stackOf(error: unknown): string {
  return error instanceof Error && error.stack !== undefined ? error.stack : failureMessage(error);
}

function textOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : `Thrown: ${String(error)}`;
  } catch {
    return 'Thrown: an object that cannot be shown'; // its `toString` is missing, or throws itself
  }
}

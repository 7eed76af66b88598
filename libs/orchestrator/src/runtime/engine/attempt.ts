import { RunEndedError } from './engine-errors.js';

/**
 * One execution of a body. When it ends, by itself or because time ran out, the code of it that may still be running is
 * cut off: its signal fires and its calls start nothing any more. So it is for the attempts of what it called.
 */
export class Attempt {
  private controller: AbortController | null = null;
  private readonly children = new Set<Attempt>();

  /** Told when somebody else ends the attempt, while its body is running. */
  onCutOff: ((error: RunEndedError) => void) | null = null;

  constructor(
    readonly runName: string,
    /** Counts from 1. */
    readonly number: number,
    private readonly parent: Attempt | null,
  ) {
    if (parent?.ended) this.ended = new RunEndedError(runName, parent.ended.reason);
    else parent?.children.add(this);
  }

  /** Why the attempt is over; `null` while it is not. What begins within one that is over is over from the start. */
  ended: RunEndedError | null = null;

  /** Made when somebody first asks for it: most bodies never do, and a controller is dear on a hot path. */
  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.ended && !this.controller.signal.aborted) this.controller.abort(this.ended);
    return this.controller.signal;
  }

  /** @throws {RunEndedError} when the attempt is over. */
  assertLive(): void {
    if (this.ended) throw this.ended;
  }

  /** Ends this attempt and the attempts within it. The first reason holds. */
  end(reason: string): void {
    this.parent?.children.delete(this);
    if (this.ended) return;
    this.ended = new RunEndedError(this.runName, reason);
    this.controller?.abort(this.ended);
    for (const child of this.children) child.end(reason);
    this.onCutOff?.(this.ended);
  }
}

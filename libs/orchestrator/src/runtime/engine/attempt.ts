import { setMaxListeners } from 'node:events';
import { LeaseLostError } from '../leases/run-lease.js';
import { RunCancelledError, RunEndedError, RunHandedBackError, RunSuspendedError } from './engine-errors.js';

/** Why an attempt is over. */
export interface AttemptEnd {
  /**
   * - `over`: it returned, threw or timed out, or somebody else ended its run.
   * - `cancelled`: somebody asked for the end of its run.
   * - `handed-back`, `suspended`: its run goes on in another process, or later; nothing more is recorded here.
   * - `lease-lost`: its run may go on elsewhere by now; nothing more can be recorded here.
   */
  readonly kind: 'over' | 'cancelled' | 'handed-back' | 'suspended' | 'lease-lost';
  /** For people: `it timed out`. */
  readonly reason: string;
}

/** Whether the run goes on in another process or later, so that what it leaves unfinished here is found there. */
export function goesOnElsewhere({ kind }: AttemptEnd): boolean {
  return kind === 'handed-back' || kind === 'suspended' || kind === 'lease-lost';
}

/**
 * One execution of a body. When it ends, by itself or because time ran out, the code of it that may still be running is
 * cut off: its signal fires and its calls start nothing any more. So it is for the attempts of what it called.
 */
export class Attempt {
  private controller: AbortController | null = null;
  /** Made with the first one: most tasks call nothing. */
  private children: Set<Attempt> | null = null;
  private whenIdle: (() => void)[] = NOBODY;
  private error: Error | null = null;
  /** Calls of it that a pause holds up. */
  private held = 0;

  /** Why the attempt is over; `null` while it is not. What begins within one that is over is over from the start. */
  ended: AttemptEnd | null;

  /** Told when somebody else ends the attempt, while its body is running. */
  onCutOff: ((end: AttemptEnd) => void) | null = null;

  constructor(
    readonly runName: string,
    /** Counts from 1. */
    readonly number: number,
    private readonly parent: Attempt | null,
    /** The run in whose name the attempt is made, for messages. */
    private readonly flowRunId: string | null = parent?.flowRunId ?? null,
  ) {
    this.ended = parent?.ended ?? null;
    if (!this.ended) parent?.adopt(this);
  }

  /** Made when somebody first asks for it: most bodies never do, and a controller is dear on a hot path. */
  get signal(): AbortSignal {
    this.controller ??= heardByMany();
    if (this.ended && !this.controller.signal.aborted) this.controller.abort(this.endError);
    return this.controller.signal;
  }

  /** What calls of the attempt get once it is over. Made when somebody asks for it. */
  get endError(): Error {
    return (this.error ??= errorOf(this.runName, this.flowRunId, this.ended));
  }

  /** @throws {RunEndedError} and its like when the attempt is over. */
  assertLive(): void {
    if (this.ended) throw this.endError;
  }

  /** Resolves when nothing it has called is running, for the moment: what waits for calls that are held up is not. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => (this.whenIdle = [...this.whenIdle, resolve]));
  }

  /** Whether nothing it has called is running at the moment. */
  get isIdle(): boolean {
    return !this.hasBusyChild();
  }

  /**
   * Whether no code runs in it: it waits itself, or each of what it has called does.
   *
   * @param waits whether somebody waits on behalf of an attempt with that signal.
   */
  onlyWaits(waits: (signal: AbortSignal) => boolean): boolean {
    if (!this.children?.size) return waits(this.signal);
    for (const child of this.children) if (!child.onlyWaits(waits)) return false;
    return true;
  }

  /** Notes that a call of it is held up, until the function that is returned is called. */
  hold(): () => void {
    this.held += 1;
    this.tellIdle();
    return () => (this.held -= 1);
  }

  /** Ends this attempt, whose body has settled, and what is left of the attempts within it. */
  finish(): void {
    this.stop(SETTLED, null);
  }

  /** Ends this attempt and the attempts within it, at once. The first reason holds. */
  end(reason: string, kind: AttemptEnd['kind'] = 'over'): void {
    this.stop({ kind, reason }, null);
  }

  /**
   * Asks the bodies of this attempt and those within it to end: their signals fire and they start nothing any more. What has
   * not settled by itself when `grace` resolves is cut off.
   */
  wind(reason: string, kind: AttemptEnd['kind'], grace: Promise<void>): void {
    this.stop({ kind, reason }, grace);
  }

  private adopt(child: Attempt): void {
    (this.children ??= new Set()).add(child);
  }

  private forget(child: Attempt): void {
    if (this.children?.delete(child)) this.tellIdle();
  }

  /** Those further up may have waited for this as well. */
  private tellIdle(): void {
    if (this.whenIdle.length > 0 && !this.hasBusyChild()) {
      const told = this.whenIdle;
      this.whenIdle = NOBODY;
      for (const tell of told) tell();
    }
    this.parent?.tellIdle();
  }

  private hasBusyChild(): boolean {
    if (this.children) for (const child of this.children) if (child.isBusy()) return true;
    return false;
  }

  /** It runs code of its own, or something that it called does. */
  private isBusy(): boolean {
    return this.hasBusyChild() || (this.held === 0 && !this.children?.size);
  }

  /** An attempt that winds up is ended for good by whatever ends it without grace; the reason of the first end holds. */
  private stop(end: AttemptEnd, grace: Promise<void> | null): void {
    if (!this.ended) {
      this.ended = end;
      this.controller?.abort(this.endError);
    } else if (grace) return;
    if (this.children) for (const child of [...this.children]) child.stop(end, grace);
    if (grace) void grace.then(() => this.cutOff());
    else this.cutOff();
  }

  private cutOff(): void {
    this.parent?.forget(this);
    const tell = this.onCutOff;
    this.onCutOff = null;
    if (this.ended) tell?.(this.ended);
  }
}

/** As many may wait in one attempt as like to, which Node takes for a leak from the eleventh on. */
function heardByMany(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

const SETTLED: AttemptEnd = { kind: 'over', reason: 'its attempt is over' };

const NOBODY: (() => void)[] = [];

function errorOf(runName: string, flowRunId: string | null, end: AttemptEnd | null): Error {
  if (flowRunId !== null) {
    if (end?.kind === 'lease-lost') return new LeaseLostError(flowRunId);
    if (end?.kind === 'cancelled') return new RunCancelledError(flowRunId);
    if (end?.kind === 'handed-back') return new RunHandedBackError(flowRunId);
    if (end?.kind === 'suspended') return new RunSuspendedError(flowRunId);
  }
  return new RunEndedError(runName, end?.reason ?? 'it is over');
}

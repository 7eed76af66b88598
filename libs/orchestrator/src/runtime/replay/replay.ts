import { scopeOfKey } from '../engine/branch.js';
import { pause } from '../engine/wait-until.js';
import type { RecordedCall } from './recorded-call.js';
import { ReplayDivergedError } from './replay-diverged.error.js';

/**
 * How long recorded calls may take to be made again, after the last one that was, before new work in their place means that
 * the code differs. Code that awaits something else than tasks in between takes its time.
 */
const GRACE_MS = 1_000;

/** After this long without a recorded call being made again, new work is not held up any more. */
const OVER_AFTER_MS = 5_000;

/** What happens when a resumed run asks for something else than before. */
export type OnDivergence = 'fail' | 'warn' | 'run';

/**
 * What is recorded of a flow run, while its body runs again from the top.
 *
 * Recorded calls get their recorded outcome, in whatever order they are made. New work waits until no recorded call is made
 * any more; if by then calls of the same task in the same scope are left over, the code has diverged.
 */
export class Replay {
  /** Whether the body is only tried: then nothing is to follow from what it does. */
  readonly isRehearsal: boolean = false;

  /** Once the code has diverged, and that is a failure: why. */
  diverged: ReplayDivergedError | null = null;

  /** What nobody has asked for yet, by task and key. */
  protected readonly calls = new Map<string, RecordedCall>();
  /** Recorded outcomes nobody has asked for yet, by task and scope. */
  private readonly unclaimed = new Map<string, number>();
  private readonly warned = new Set<string>();
  private claims = 0;
  private lastClaimAt = performance.now();
  private quiet: Promise<void> | null = null;
  /** How many places of the code wait for something that takes its time, before they make calls. */
  private heldOff = 0;

  constructor(
    recorded: Iterable<RecordedCall>,
    /** What the run drew from outside its tasks, encoded, by key. */
    readonly values: ReadonlyMap<string, string>,
    private readonly onDivergence: OnDivergence,
    private readonly warn: (error: ReplayDivergedError) => void,
  ) {
    for (const call of recorded) {
      const { taskKey, dynamicKey } = call.created;
      this.calls.set(`${taskKey}\0${dynamicKey}`, call);
      if (countsIfUnclaimed(call)) this.countUnclaimed(taskKey, dynamicKey, 1);
    }
  }

  /** What is recorded of a call; each record is given once. */
  claim(taskKey: string, dynamicKey: string): RecordedCall | undefined {
    const key = `${taskKey}\0${dynamicKey}`;
    const call = this.calls.get(key);
    if (!call) return undefined;
    this.calls.delete(key);
    this.claims += 1;
    this.lastClaimAt = performance.now();
    if (countsIfUnclaimed(call)) this.countUnclaimed(taskKey, dynamicKey, -1);
    return call;
  }

  /**
   * Resolves when a call that is not recorded may be executed.
   *
   * @throws {ReplayDivergedError} when recorded calls of the same task in the same scope were not made again.
   */
  async admit(taskKey: string, dynamicKey: string): Promise<void> {
    this.assertNotDiverged();
    if (this.calls.size === 0) return;
    if (this.heldOff === 0 && performance.now() - this.lastClaimAt > OVER_AFTER_MS) return;
    await (this.quiet ??= this.untilQuiet().finally(() => (this.quiet = null)));
    const place = placeOf(taskKey, dynamicKey);
    if (this.onDivergence === 'run' || this.warned.has(place)) return;
    while (this.unclaimed.has(place)) {
      const left = this.heldOff > 0 ? GRACE_MS : GRACE_MS - (performance.now() - this.lastClaimAt);
      if (left <= 0) return this.diverge(taskKey, place);
      await pause(Math.min(left, 20));
    }
    this.assertNotDiverged(); // another call may have found it meanwhile
  }

  /**
   * Notes that code waits before it makes calls, until the function that is returned is called: they
   * are not missed meanwhile.
   */
  holdOff(): () => void {
    this.heldOff += 1;
    return () => {
      this.heldOff -= 1;
      this.lastClaimAt = performance.now();
    };
  }

  /** The calls that had begun and were not made again. */
  leftUnfinished(): Extract<RecordedCall, { kind: 'unfinished' }>[] {
    return [...this.calls.values()].filter((call) => call.kind === 'unfinished');
  }

  private assertNotDiverged(): void {
    if (this.diverged) throw this.diverged;
  }

  private diverge(taskKey: string, place: string): void {
    const error = ReplayDivergedError.inPlaceOf(taskKey, this.unclaimedNames(place));
    if (this.onDivergence === 'fail') {
      this.diverged ??= error;
      throw error;
    }
    if (!this.warned.has(place)) this.warn(error);
    this.warned.add(place);
  }

  private unclaimedNames(place: string): string[] {
    return [...this.calls.values()]
      .filter((call) => countsIfUnclaimed(call) && placeOf(call.created.taskKey, call.created.dynamicKey) === place)
      .map(({ created }) => created.name);
  }

  /** Two turns of the event loop in which nobody asked for a recorded call. */
  private async untilQuiet(): Promise<void> {
    let before: number;
    do {
      before = this.claims;
      await turn();
      await turn();
    } while (this.claims !== before);
  }

  private countUnclaimed(taskKey: string, dynamicKey: string, change: 1 | -1): void {
    const place = placeOf(taskKey, dynamicKey);
    const count = (this.unclaimed.get(place) ?? 0) + change;
    if (count === 0) this.unclaimed.delete(place);
    else this.unclaimed.set(place, count);
  }
}

/** What an earlier attempt called, or the run that this one was forked from, need not be called again. */
function countsIfUnclaimed({ kind, isOfThisAttempt }: RecordedCall): boolean {
  return kind !== 'unfinished' && isOfThisAttempt;
}

function placeOf(taskKey: string, dynamicKey: string): string {
  return `${taskKey}\0${scopeOfKey(dynamicKey)}`;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

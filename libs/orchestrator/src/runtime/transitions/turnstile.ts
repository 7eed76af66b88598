/** Those of one run that wait, in their order. */
interface Lane {
  readonly waiting: (() => void)[];
  next: number;
}

/**
 * Lets callers in as long as there is room, and one run after another when there is not: a run that calls a hundred thousand
 * tasks at once holds up itself, and not the others.
 */
export class Turnstile {
  private readonly lanes = new Map<string | null, Lane>();

  /** @param hasRoom whether one more may come in. */
  constructor(private readonly hasRoom: () => boolean) {}

  /** Whether a caller may go on at once. */
  get isOpen(): boolean {
    return this.lanes.size === 0 && this.hasRoom();
  }

  /** Calls `goOn` when it is the caller's turn. */
  wait(run: string | null, goOn: () => void): void {
    const lane = this.lanes.get(run);
    if (lane) lane.waiting.push(goOn);
    else this.lanes.set(run, { waiting: [goOn], next: 0 });
  }

  /** Lets in up to `count`, one of each run in turn. Called whenever room was made. */
  letIn(count: number): void {
    let left = count;
    while (left > 0 && this.lanes.size > 0) {
      for (const [run, lane] of this.lanes) {
        if (left === 0) return;
        left -= 1;
        const goOn = lane.waiting[lane.next];
        lane.waiting[lane.next] = GONE;
        lane.next += 1;
        if (lane.next === lane.waiting.length) this.lanes.delete(run);
        goOn?.();
      }
    }
  }
}

/** In the place of those that were let in, so that what they held on to can be collected. */
const GONE = (): void => undefined;

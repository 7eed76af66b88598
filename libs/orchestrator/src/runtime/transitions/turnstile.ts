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

  /** `null` when the caller may go on at once; else it waits for its turn. */
  enter(run: string | null): Promise<void> | null {
    if (this.lanes.size === 0 && this.hasRoom()) return null;
    return new Promise((resolve) => {
      const lane = this.lanes.get(run);
      if (lane) lane.waiting.push(resolve);
      else this.lanes.set(run, { waiting: [resolve], next: 0 });
    });
  }

  /** Lets in up to `count`, one of each run in turn. Called whenever room was made. */
  letIn(count: number): void {
    let left = count;
    while (left > 0 && this.lanes.size > 0) {
      for (const [run, lane] of this.lanes) {
        if (left === 0) return;
        left -= 1;
        lane.waiting[lane.next]?.();
        lane.next += 1;
        if (lane.next === lane.waiting.length) this.lanes.delete(run);
      }
    }
  }
}

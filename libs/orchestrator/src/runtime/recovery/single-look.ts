/** What becomes of the one look of a worker that looks for runs once. */
export class SingleLook {
  /** Resolves with the runs that it took when it has looked and executes none of them any more. */
  readonly over: Promise<readonly string[]>;
  /** Whether there is nothing more to look for. */
  isDone = false;
  private readonly taken: string[] = [];
  private end: (taken: readonly string[]) => void = () => undefined;

  constructor() {
    this.over = new Promise((resolve) => (this.end = resolve));
  }

  /** How many runs it has taken: room that was used once is not used again. */
  get size(): number {
    return this.taken.length;
  }

  take(flowRunId: string): void {
    this.taken.push(flowRunId);
  }

  /** To be told whenever runs may have been let go of. */
  settle(held: number): void {
    if (this.isDone && held === 0) this.end([...this.taken]);
  }
}

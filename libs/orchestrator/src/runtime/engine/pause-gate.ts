/** Holds up the calls of a paused flow run, and of the runs within it, until it goes on or is over. */
export class PauseGate {
  private closed: { readonly reopened: Promise<void>; readonly reopen: () => void } | null = null;

  constructor(private readonly outer: PauseGate | null) {}

  get isClosed(): boolean {
    return this.closed !== null || (this.outer?.isClosed ?? false);
  }

  /** Resolves when the run itself is not paused, whatever the one that called it is; `null` when it is not. */
  get reopened(): Promise<void> | null {
    return this.closed?.reopened ?? null;
  }

  close(): void {
    if (this.closed) return;
    let reopen = (): void => undefined;
    const reopened = new Promise<void>((resolve) => (reopen = resolve));
    this.closed = { reopened, reopen };
  }

  open(): void {
    this.closed?.reopen();
    this.closed = null;
  }

  /** Resolves when nothing is closed any more. */
  async passage(): Promise<void> {
    while (this.isClosed) await (this.closed?.reopened ?? this.outer?.passage());
  }
}

import { AsyncLocalStorage } from 'node:async_hooks';

/** One level of a transaction: the whole, or a transaction within it, which is a savepoint. */
class Level {
  /** Resolves when the savepoint that is open within this level is closed; `null` while there is none. */
  inner: Promise<void> | null = null;
  /** Statements on this level that have not been answered. */
  statements = 0;
  /** Told when there is none any more. */
  whenIdle: (() => void) | null = null;

  constructor(readonly nesting: Nesting) {}
}

const levels = new AsyncLocalStorage<Level>();

/**
 * Which code of a transaction may use its connection. A savepoint takes back whatever was executed since, so while one is open,
 * the branches that run beside its code wait: their statements would be lost with it, or kept without those they belong to.
 */
export class Nesting {
  private readonly outermost = new Level(this);
  private waiting = 0;

  /** How many statements are under way, or wait for their turn. */
  get statements(): number {
    return this.waiting;
  }

  /** Whether a savepoint is open. */
  get isOpen(): boolean {
    return this.outermost.inner !== null;
  }

  /** Executes one statement when it is the turn of the code that asks. */
  async statement<T>(work: () => Promise<T>): Promise<T> {
    const level = this.current();
    this.waiting += 1;
    try {
      while (level.inner) await level.inner;
      level.statements += 1;
      try {
        return await work();
      } finally {
        level.statements -= 1;
        if (level.statements === 0) level.whenIdle?.();
      }
    } finally {
      this.waiting -= 1;
    }
  }

  /** Runs `work`, which opens a savepoint and closes it again, when it is the turn of the code that asks. */
  async within<T>(work: () => Promise<T>): Promise<T> {
    const outer = this.current();
    while (outer.inner) await outer.inner;
    let close = (): void => undefined;
    outer.inner = new Promise((resolve) => (close = resolve));
    try {
      if (outer.statements > 0) await new Promise<void>((resolve) => (outer.whenIdle = resolve));
      return await levels.run(new Level(this), work);
    } finally {
      outer.inner = null;
      close();
    }
  }

  private current(): Level {
    const level = levels.getStore();
    return level?.nesting === this ? level : this.outermost;
  }
}

import { addMs, formatInstant, msBetween, type Instant } from '@nestor/core';
import type { RetentionCursors } from '../../records/retention/retention-pass.entity.js';
import type { PassHolder } from '../../records/retention/retention-passes.repository.js';

/** A pass does not go on for longer, nor does a step of it look at more rows; what is left then is for the next one. */
const MAX_MS = 60_000;
const MAX_ROWS = 50_000;

/** What a pass has removed. Rows of weeks that went as a whole are not counted. */
export interface Removed {
  readonly flowRuns: number;
  readonly taskRuns: number;
  readonly logs: number;
  readonly artifacts: number;
  readonly events: number;
  /** The weeks that went as a whole: `event_20261116`. */
  readonly partitions: readonly string[];
}

/** What can be counted. */
type RemovedNoun = Exclude<keyof Removed, 'partitions'>;

interface PassOptions {
  readonly holder: PassHolder;
  readonly now: Instant;
  readonly cursors: RetentionCursors;
  readonly removing: readonly string[];
  /** Tells whether the pass is still ours, and keeps it so for a while. */
  readonly hold: () => Promise<boolean>;
}

/** One pass of removing what is old: its time, its bounds, and what it has removed. */
export class RetentionPass {
  readonly holder: PassHolder;
  /** Flow runs that an earlier pass has removed, and of which something may be left. */
  readonly removing: readonly string[];
  readonly cursors: Record<string, string | undefined>;
  private readonly now: Instant;
  private readonly hold: () => Promise<boolean>;
  private readonly deadline = performance.now() + MAX_MS;
  private readonly counts = { flowRuns: 0, taskRuns: 0, logs: 0, artifacts: 0, events: 0 };
  private readonly partitions: string[] = [];
  private isOver = false;

  constructor({ holder, now, cursors, removing, hold }: PassOptions) {
    this.holder = holder;
    this.removing = removing;
    this.cursors = { ...cursors };
    this.now = now;
    this.hold = hold;
  }

  get removed(): Removed {
    return { ...this.counts, partitions: [...this.partitions].sort() };
  }

  /** The instant before which things are older than that. */
  border(ageMs: number): Instant {
    return addMs(this.now, -ageMs);
  }

  /** The same as statements take it. */
  before(ageMs: number): string {
    return formatInstant(this.border(ageMs));
  }

  /** Whether a time, in milliseconds since the epoch, is longer ago than that. */
  isBefore(ms: number, ageMs: number): boolean {
    return msBetween((ms * 1_000) as Instant, this.border(ageMs)) >= 0;
  }

  count(noun: RemovedNoun, rows: number): void {
    this.counts[noun] += rows;
  }

  notePartition(name: string): void {
    this.partitions.push(name);
  }

  /** A step with its own bound of rows, and of time if that is given. */
  step(mostMs = MAX_MS): RetentionStep {
    const until = performance.now() + mostMs;
    return new RetentionStep(async () => performance.now() < until && this.goesOn());
  }

  /** Begins nothing more: the application stops. */
  end(): void {
    this.isOver = true;
  }

  /** Asked before each batch: whether there is time, and nobody else has taken the pass over. */
  async goesOn(): Promise<boolean> {
    if (this.isOver || performance.now() > this.deadline) return false;
    if (await this.hold()) return !this.isOver;
    this.isOver = true; // somebody else goes on with it
    return false;
  }
}

/** A part of a pass, which looks at so many rows and no more, or goes on for so long; or what somebody has asked for. */
export class RetentionStep {
  constructor(
    private readonly mayGoOn: () => Promise<boolean>,
    private left = MAX_ROWS,
  ) {}

  /** One that goes on until nothing is left. */
  static unbounded(): RetentionStep {
    return new RetentionStep(() => Promise.resolve(true), Infinity);
  }

  /** Asked before each batch. */
  async goesOn(): Promise<boolean> {
    return this.left > 0 && (await this.mayGoOn());
  }

  /** How many rows a batch may have looked at, or removed. */
  spend(rows: number): void {
    this.left -= rows;
  }

  /**
   * Removes batch by batch until one is not full.
   *
   * @returns whether all are gone.
   */
  async exhaust(limit: number, batch: () => Promise<number>): Promise<boolean> {
    while (await this.goesOn()) {
      const rows = await batch();
      this.spend(rows);
      if (rows < limit) return true;
    }
    return false;
  }
}

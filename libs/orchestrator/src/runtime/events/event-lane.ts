import { isPassing } from '../../persistence/connection/postgres-errors.js';
import type { NewEvent } from '../../records/events/events.repository.js';
import { JournalClosedError } from '../transitions/journal-closed.error.js';

/** What is written at a time: a statement stays within some megabytes, and within some hundredths of a second. */
const MAX_BATCH = 1_000;
const MAX_BATCH_BYTES = 4_000_000;

/** With so many, or so large ones, that are not written yet, whoever can wait does. */
const HIGH_WATER = 10_000;
const HIGH_WATER_BYTES = 64_000_000;

interface QueuedEvent {
  readonly event: NewEvent;
  readonly bytes: number;
  readonly settle: () => void;
  readonly fail: (error: unknown) => void;
}

/**
 * Events on their way into the database: those that come while a batch is written are the next one, so that a lone event costs
 * a commit, and a burst a handful. None is dropped. An event that the database refuses for what it is fails alone.
 */
export class EventLane {
  private queue: QueuedEvent[] = [];
  private bytes = 0;
  private writing: Promise<void> | null = null;
  private waitingForRoom: (() => void)[] = [];
  /** Ends the time that is given to others to come along, where there is one. */
  private hurry: () => void = () => undefined;

  /**
   * @param insert stores events in one statement, which may be made twice: an id that is stored is not stored again.
   * @param lingerMs how long an event waits for others that come along, where nobody waits for it. Default: not at all.
   */
  constructor(
    private readonly insert: (events: readonly NewEvent[]) => Promise<void>,
    private readonly lingerMs = 0,
  ) {}

  /** Resolves when the event is durable. */
  write(event: NewEvent, bytes: number): Promise<void> {
    return new Promise((settle, fail) => {
      this.queue.push({ event, bytes, settle, fail });
      this.bytes += bytes;
      this.writing ??= this.writeAll();
      if (this.queue.length >= MAX_BATCH || this.bytes >= MAX_BATCH_BYTES) this.hurry();
    });
  }

  /** Resolves when there is room for more; at once, most of the time. */
  async whenRoom(): Promise<void> {
    while (this.queue.length >= HIGH_WATER || this.bytes >= HIGH_WATER_BYTES) {
      await new Promise<void>((goOn) => this.waitingForRoom.push(goOn));
    }
  }

  /** Resolves when everything is written, or has failed. */
  async settled(): Promise<void> {
    while (this.writing) {
      this.hurry();
      await this.writing;
    }
  }

  private async writeAll(): Promise<void> {
    await this.othersToComeAlong();
    while (this.queue.length > 0) {
      await this.writeBatch(this.nextBatch());
      for (const goOn of this.waitingForRoom.splice(0)) goOn();
    }
    this.writing = null;
  }

  /** At least all of this turn of the event loop. */
  private async othersToComeAlong(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.lingerMs === 0) return void setImmediate(resolve);
      const timer = setTimeout(resolve, this.lingerMs);
      this.hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.hurry = () => undefined;
  }

  private nextBatch(): QueuedEvent[] {
    let size = 0;
    let bytes = 0;
    for (const one of this.queue) {
      if (size === MAX_BATCH || (size > 0 && bytes + one.bytes > MAX_BATCH_BYTES)) break;
      size += 1;
      bytes += one.bytes;
    }
    this.bytes -= bytes;
    return this.queue.splice(0, size);
  }

  /** Never rejects. */
  private async writeBatch(batch: readonly QueuedEvent[]): Promise<void> {
    try {
      await this.insert(batch.map(({ event }) => event));
      for (const { settle } of batch) settle();
    } catch (error) {
      const isForAll = isPassing(error) || error instanceof JournalClosedError || batch.length === 1;
      if (isForAll) return batch.forEach(({ fail }) => fail(error));
      const half = Math.ceil(batch.length / 2);
      await this.writeBatch(batch.slice(0, half));
      await this.writeBatch(batch.slice(half));
    }
  }
}

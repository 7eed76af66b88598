import { Injectable, Logger } from '@nestjs/common';
import { Transactions } from '../../persistence/transactions.js';
import { EventsRepository, type NewEvent } from '../../records/events/events.repository.js';
import { withinMs } from '../engine/wait-until.js';
import { Patience } from '../transitions/patience.js';
import { EventLane } from './event-lane.js';

/** What an event takes that nobody has measured: those of our own have a few labels. */
const SMALL_BYTES = 1_000;
/** How long events that nobody waits for wait for others: where slots change hands all the time, a commit for each would cost as much again. */
const LINGER_MS = 100;

interface Writing {
  /** The size of the event as JSON. Default: small. */
  readonly bytes?: number;
  /** Whether a database that is away is waited for: it is on behalf of runs, which wait for it themselves. */
  readonly isPatient: boolean;
}

/** Stores events in batches. What runs emit, what others emit, and what nobody waits for, do not wait for each other. */
@Injectable()
export class EventWriter {
  private readonly logger = new Logger('Events');
  private readonly patience = new Patience(this.logger);
  private readonly ofRuns: EventLane;
  private readonly ofOthers: EventLane;
  private readonly ofNobody: EventLane;

  constructor(
    private readonly events: EventsRepository,
    private readonly transactions: Transactions,
  ) {
    const insert = (batch: readonly NewEvent[]): Promise<void> =>
      this.transactions.single((tx) => this.events.insertAll(tx, batch));
    const patiently = (batch: readonly NewEvent[]): Promise<void> => this.patience.patiently(() => insert(batch));
    this.ofRuns = new EventLane(patiently);
    this.ofOthers = new EventLane(insert);
    this.ofNobody = new EventLane(patiently, LINGER_MS);
  }

  /**
   * Resolves when the event is durable; one whose id was stored before is not stored again.
   *
   * @throws {JournalClosedError} when the process stopped first.
   */
  write(event: NewEvent, { bytes = SMALL_BYTES, isPatient }: Writing): Promise<void> {
    return (isPatient ? this.ofRuns : this.ofOthers).write(event, bytes);
  }

  /** Has events written that nobody waits for, within some tenths of a second. Whoever makes many awaits {@link whenRoom} before. */
  append(events: readonly NewEvent[]): void {
    for (const event of events) {
      this.ofNobody
        .write(event, SMALL_BYTES)
        .catch((error: unknown) => this.logger.error(`Event ${event.event} could not be stored: ${String(error)}`));
    }
  }

  /** Resolves when there is room for more; at once, most of the time. */
  whenRoom(): Promise<void> {
    return this.ofNobody.whenRoom();
  }

  /** Resolves when everything is written that was to be. */
  async settled(): Promise<void> {
    await Promise.all([this.ofRuns, this.ofOthers, this.ofNobody].map((lane) => lane.settled()));
  }

  /** Writes what is left, for at most that long; what is not written by then fails. Always resolves. */
  async close(ms: number): Promise<void> {
    await withinMs(this.settled(), ms);
    this.patience.giveUp();
  }
}

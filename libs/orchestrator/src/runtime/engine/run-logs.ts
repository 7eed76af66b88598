import { Injectable, Logger } from '@nestjs/common';
import { isPassing } from '../../persistence/connection/postgres-errors.js';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { LogsRepository, type NewLog } from '../../records/logs/logs.repository.js';
import { DatabaseClock } from '../transitions/database-clock.js';
import { withinMs } from './wait-until.js';

/** The levels of the HTTP contract. */
export const LogLevel = { Debug: 10, Info: 20, Warning: 30, Error: 40, Critical: 50 } as const;

const FLUSH_AFTER_MS = 200;
/** Between attempts while the database is away. */
const AWAY_MS = 1_000;
const MAX_BATCH = 500;
const MAX_MESSAGE = 1_000_000;
/** Lines kept while the database is away; beyond that the oldest go, and one line says how many. */
const MAX_BUFFERED = 50_000;

/** Where a line comes from. */
export interface LogSource {
  readonly name: string;
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
}

/** Keeps the lines that runs log: in batches, a fifth of a second after they were logged. */
@Injectable()
export class RunLogs {
  private readonly logger = new Logger('Run');
  private buffer: NewLog[] = [];
  private dropped = 0;
  /** Lines of the batch that is being written. */
  private inFlight = 0;
  private timer: NodeJS.Timeout | null = null;
  private writing: Promise<void> | null = null;
  /** The last attempt to write failed because the database was away; the next is made by the clock, not by the next line. */
  private away = false;
  private closed = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly logs: LogsRepository,
    private readonly clock: DatabaseClock,
  ) {}

  /** Adds a line to a run; it is also passed on to Nest's logger. */
  append(source: LogSource, level: number, message: string): void {
    const text = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}… (cut)` : message;
    this.passOn(source.name, level, text);
    if (this.closed) return; // code that outlived the application
    // PostgreSQL's text holds no NUL.
    this.buffer.push({
      id: newId(),
      timestamp: this.clock.now(),
      level,
      message: text.replaceAll('\0', '\\0'),
      ...source,
    });
    if (this.buffer.length > MAX_BUFFERED) {
      this.dropped += this.buffer.length - MAX_BUFFERED;
      this.buffer = this.buffer.slice(-MAX_BUFFERED);
    }
    if (this.buffer.length >= MAX_BATCH && !this.away) void this.flush();
    else this.flushIn(FLUSH_AFTER_MS);
  }

  /** Writes what is buffered, lines that come up meanwhile included; resolves when that has been tried. Never rejects. */
  flush(): Promise<void> {
    this.stopTimer();
    if (!this.writing && this.buffer.length > 0) this.writing = this.write();
    return this.writing ?? Promise.resolve();
  }

  /** Writes what is left, if the database takes it within that time. Later lines are not kept. Always resolves. */
  async close(waitMs: number): Promise<void> {
    this.closed = true;
    await withinMs(this.flush(), waitMs);
    const lost = this.inFlight + this.buffer.length;
    if (lost > 0) this.logger.error(`${lost} log lines are lost: the database is away.`);
  }

  private flushIn(ms: number): void {
    if (!this.closed) this.timer ??= setTimeout(() => void this.flush(), ms);
  }

  private stopTimer(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private async write(): Promise<void> {
    try {
      while (this.buffer.length > 0) {
        const batch = this.buffer.slice(0, MAX_BATCH);
        this.buffer = this.buffer.slice(MAX_BATCH);
        this.inFlight = batch.length;
        try {
          await this.transactions.single((tx) => this.logs.append(tx, batch));
          this.away = false;
        } catch (error) {
          this.away = isPassing(error);
          if (!this.away) {
            this.logger.error(`${batch.length} log lines could not be kept: ${String(error)}`);
            continue;
          }
          this.buffer = [...batch, ...this.buffer];
          this.stopTimer();
          this.flushIn(AWAY_MS);
          return;
        }
      }
      if (this.dropped > 0) this.logger.warn(`${this.dropped} log lines were dropped while the database was away.`);
      this.dropped = 0;
    } finally {
      this.inFlight = 0;
      this.writing = null;
    }
  }

  private passOn(name: string, level: number, message: string): void {
    if (level >= LogLevel.Error) this.logger.error(`${name}: ${message}`);
    else if (level >= LogLevel.Warning) this.logger.warn(`${name}: ${message}`);
    else if (level >= LogLevel.Info) this.logger.log(`${name}: ${message}`);
    else this.logger.debug(`${name}: ${message}`);
  }
}

import { Inject, Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, Transactions, type Hint } from '../../persistence/transactions.js';
import { channelOf } from './channel.js';

/** What processes tell each other. */
export type Topic =
  /** Runs are waiting to be claimed. */
  | 'due'
  /** States owe hooks that anybody may call. */
  | 'hooks'
  /** Background tasks are waiting to be taken. */
  | 'queued'
  /** Concurrency limits were changed. */
  | 'limits'
  /** A claim of a process has the slots it waited for: `slot:<process>:<claim>`. */
  | `slot:${string}:${string}`
  /** Work pools, or queues of theirs, were changed. */
  | 'pools'
  /** Infrastructure is to be ended. */
  | 'tear-downs'
  /** Schedules were made or changed. */
  | 'schedules'
  /** Somebody asked something of a run: `run:<id>`. */
  | `run:${string}`
  /** An input of a run is there: `input:<id>`. */
  | `input:${string}`;

/** PostgreSQL takes less than 8,000 bytes. */
const MAX_PAYLOAD = 7_000;

const NOTIFY = preparedStatement('notify', 'select pg_notify($1, $2)');

/**
 * Tells the other processes what they would find out later by themselves. Only a hint: it is sent after the commit, at once
 * for all that comes up in one turn of the event loop, and a failure to send it is no failure. Transactions that are hot
 * never send any, because a notifying transaction takes a lock of the whole database.
 */
@Injectable()
export class Notifier {
  private readonly logger = new Logger(Notifier.name);
  private readonly topics = new Set<Topic>();
  private sending = false;

  constructor(
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
    private readonly transactions: Transactions,
  ) {}

  notify(topic: Topic): void {
    this.topics.add(topic);
    if (this.sending) return;
    this.sending = true;
    setImmediate(() => void this.send());
  }

  /** The same as a statement, for whoever can have it sent right behind what it tells of: see `Transactions.single`. */
  hintOf(topic: Topic): Hint {
    return (tx) => tx.query(NOTIFY, [channelOf(schemaOf(this.dataSource)), topic]);
  }

  private async send(): Promise<void> {
    const channel = channelOf(schemaOf(this.dataSource));
    try {
      while (this.topics.size > 0) {
        const payload = this.nextPayload();
        if (!this.dataSource.isInitialized) continue;
        await this.transactions.single((tx) => tx.query(NOTIFY, [channel, payload]));
      }
    } catch (error) {
      this.logger.debug(`A notification could not be sent; others find out by looking. ${String(error)}`);
    } finally {
      this.sending = false;
    }
  }

  private nextPayload(): string {
    let payload = '';
    for (const topic of this.topics) {
      if (payload.length + topic.length >= MAX_PAYLOAD) break;
      payload += payload === '' ? topic : ` ${topic}`;
      this.topics.delete(topic);
    }
    return payload;
  }
}

/** The topics of a payload. */
export function topicsOf(payload: string): Topic[] {
  return payload.split(' ') as Topic[];
}

import { Inject, Injectable, Logger } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { channelOf, channelOfDue, channelOfProcess } from '../../persistence/channels.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, Transactions, type Hint } from '../../persistence/transactions.js';

/** What processes tell each other. */
export type Topic =
  /** Runs are waiting to be claimed. */
  | 'due'
  /** That run alone, of no queue, is waiting to be claimed: `due:<id>`. */
  | `due:${string}`
  /** A process was fenced; said by the statement that fences. */
  | 'fenced'
  /** States owe hooks that anybody may call. */
  | 'hooks'
  /** Background tasks are waiting to be taken. */
  | 'queued'
  /** Concurrency limits were changed. */
  | 'limits'
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

/** What one process is told alone. */
type PrivateTopic =
  /** A claim of it has the slots it waited for: `slot:<claim>`. */
  `slot:${string}`;

type BeforeColon<T> = T extends `${infer Before}:${string}` ? Before : never;

/** The topics that name one thing, or may: `<topic>:<name>`. */
export type NamingTopic = BeforeColon<Topic | PrivateTopic>;

/** PostgreSQL takes less than 8,000 bytes. */
const MAX_PAYLOAD = 7_000;

/**
 * What it tells of is durable by then. A hint need not be: those who listen hear of it without having waited for a disk, and
 * one that a crash of the server swallows is no loss.
 */
const NOTIFY = preparedStatement('notify', `select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`);

/**
 * Tells the other processes what they would find out later by themselves. Only a hint: it is sent after the commit, at once
 * for all that comes up in one turn of the event loop, and a failure to send it is no failure. Transactions that are hot
 * never send any, because a notifying transaction takes a lock of the whole database.
 */
@Injectable()
export class Notifier {
  private readonly logger = new Logger(Notifier.name);
  /** By channel. */
  private readonly topics = new Map<string, Set<Topic | PrivateTopic>>();
  private sending = false;

  constructor(
    @Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource,
    private readonly transactions: Transactions,
  ) {}

  notify(topic: Topic): void {
    this.add(this.channelOf(topic), topic);
  }

  /** Tells one process alone, so that no other is woken. */
  notifyProcess(processId: string, topic: PrivateTopic): void {
    this.add(channelOfProcess(processId), topic);
  }

  private add(channel: string, topic: Topic | PrivateTopic): void {
    const topics = this.topics.get(channel) ?? new Set();
    this.topics.set(channel, topics.add(topic));
    if (this.sending) return;
    this.sending = true;
    setImmediate(() => void this.send());
  }

  /** The same as a statement, for whoever can have it sent right behind what it tells of: see `Transactions.single`. */
  hintOf(topic: Topic): Hint {
    return (tx) => tx.query(NOTIFY, [this.channelOf(topic), topic]);
  }

  private channelOf(topic: Topic): string {
    const schema = schemaOf(this.dataSource);
    return topic === 'due' || topic.startsWith('due:') ? channelOfDue(schema) : channelOf(schema);
  }

  private async send(): Promise<void> {
    try {
      for (const [channel, topics] of this.topics) {
        while (topics.size > 0) {
          const payload = nextPayload(topics);
          if (!this.dataSource.isInitialized) continue;
          await this.transactions.single((tx) => tx.query(NOTIFY, [channel, payload]));
        }
        this.topics.delete(channel);
      }
    } catch (error) {
      this.logger.debug(`A notification could not be sent; others find out by looking. ${String(error)}`);
    } finally {
      this.sending = false;
    }
  }
}

/** As many topics as fit; they are taken out. */
function nextPayload(topics: Set<string>): string {
  let payload = '';
  for (const topic of topics) {
    if (payload.length + topic.length >= MAX_PAYLOAD) break;
    payload += payload === '' ? topic : ` ${topic}`;
    topics.delete(topic);
  }
  return payload;
}

/** The topics of a payload. */
export function topicsOf(payload: string): (Topic | PrivateTopic)[] {
  return payload.split(' ') as (Topic | PrivateTopic)[];
}

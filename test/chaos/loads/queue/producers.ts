import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { isPassing, type EnqueueOptions, type FlowRunHandle, type Flows } from '@nestor/orchestrator';
import type { DataSource } from 'typeorm';
import type { Random } from '../../random.js';
import type { Witness } from '../../witness.js';
import { POOL, QUEUES } from './places.js';
import { QueuedFlows, type Job } from './queued-flows.js';

/** For so long producers use the same keys, in all processes. */
const KEYS_PER_MS = 500;
const MOST_AT_ONCE = 20;

class OnSecondThoughts extends Error {}

/** Those who put runs into queues, in every way in which that is done. */
export class Producers {
  constructor(
    private readonly flows: Flows,
    private readonly dataSource: DataSource,
    private readonly witness: Witness,
    private readonly random: Random,
  ) {}

  /** Asks for something. That the database may be away is what a producer has to expect: nothing is acknowledged then. */
  async produce(): Promise<void> {
    try {
      await this.ask();
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    await pause(this.random.between(20, 150));
  }

  private ask(): Promise<void> {
    const { random } = this;
    switch (random.integer(0, 11)) {
      case 0:
        return this.many(random.integer(2, MOST_AT_ONCE));
      case 1:
      case 2:
        return this.withKey(`${Math.floor(Date.now() / KEYS_PER_MS)}-${random.integer(0, 3)}`);
      case 3:
      case 4:
        return this.withOrder(random.chance(0.4));
      case 5:
        return this.one('singleton', { singleton: `singleton-${random.integer(1, 3)}` });
      case 6:
        return this.one('debounced', {
          debounce: { key: `debounced-${random.integer(1, 3)}`, for: '200ms', atMost: '1s' },
        });
      case 7:
        return this.one('delayed', { in: random.integer(1, 1_500), ...this.place() });
      default:
        return this.one('plain', this.place());
    }
  }

  private async one(how: string, options: EnqueueOptions): Promise<void> {
    const job = await this.newJob(how);
    await this.acknowledge([await this.enqueue(job, options)]);
  }

  private async many(count: number): Promise<void> {
    const jobs = Array.from({ length: count }, () => this.draw());
    const marks = jobs.map(({ mark }) => mark);
    await this.witness.write({ kind: 'asked', marks, how: 'many' });
    const queue = this.flows.with(this.place());
    await this.acknowledge(
      await queue.enqueueAll(
        QueuedFlows,
        'plain',
        jobs.map((job) => [job] as const),
      ),
    );
  }

  /** Others ask for the run of that key at the same moment, and each time they start anew. */
  private async withKey(key: string): Promise<void> {
    const job = await this.newJob('keyed');
    const run = await this.flows.with({ ...this.place(), idempotencyKey: key }).enqueue(QueuedFlows, 'plain', job);
    await this.witness.write({ kind: 'keyed', key, run: run.id });
    await this.acknowledge([run]);
  }

  /** In a transaction in which an order is taken: there are both, or neither. */
  private async withOrder(isTakenBack: boolean): Promise<void> {
    const job = await this.newJob('ordered');
    let run: FlowRunHandle<unknown>;
    try {
      run = await this.dataSource.transaction(async (transaction) => {
        await transaction.query('insert into shop.orders (mark) values ($1)', [job.mark]);
        const enqueued = await this.enqueue(job, { ...this.place(), transaction });
        if (isTakenBack) throw new OnSecondThoughts();
        return enqueued;
      });
    } catch (error) {
      if (!(error instanceof OnSecondThoughts)) throw error;
      return this.witness.write({ kind: 'rolled-back', mark: job.mark });
    }
    await this.acknowledge([run]);
  }

  private async enqueue(job: Job, options: EnqueueOptions): Promise<FlowRunHandle<unknown>> {
    return this.flows.with(options).enqueue(QueuedFlows, this.random.chance(0.3) ? 'job' : 'plain', job);
  }

  private async newJob(how: string): Promise<Job> {
    const job = this.draw();
    await this.witness.write({ kind: 'asked', marks: [job.mark], how });
    return job;
  }

  private draw(): Job {
    return { mark: randomUUID(), ms: this.random.integer(0, 120) };
  }

  /** Nowhere in particular, or in the pool; at the front or at the back. */
  private place(): EnqueueOptions {
    const { random } = this;
    const priority = random.integer(-2, 2);
    if (random.chance(0.6)) return { priority };
    const queue = random.pick<string | undefined>([undefined, ...QUEUES.map(({ name }) => name)]);
    return { priority, workPool: POOL, ...(queue !== undefined && { workQueue: queue }) };
  }

  private async acknowledge(runs: readonly FlowRunHandle<unknown>[]): Promise<void> {
    await Promise.all(
      runs.map(({ id }) =>
        this.witness.write({ kind: 'acknowledged', run: id, flow: 'queued', expected: 'COMPLETED' }),
      ),
    );
  }
}

import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Flow, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { HEARTBEAT_MS } from '../../../libs/orchestrator/src/runtime/leases/lease-settings.js';
import { ProcessLease } from '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { TransactionPooler } from '../../support/transaction-pooler.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Sums {
  @Flow()
  async add({ upTo }: { upTo: number }): Promise<number> {
    const numbers = Array.from({ length: upTo }, (_, index) => index + 1);
    const doubled = await Promise.all(numbers.map((n) => this.double(n)));
    return doubled.reduce((sum, n) => sum + n, 0);
  }

  @Task()
  async double(n: number): Promise<number> {
    return n * 2;
  }
}

describe('behind a pooler that lends sessions out per transaction', () => {
  let database: TestDatabase;
  let pooler: TransactionPooler;
  let app: INestApplicationContext;
  let logger: RecordingLogger;

  beforeAll(async () => {
    database = await testDatabase();
    pooler = await TransactionPooler.start(database);
  });
  beforeEach(() => void (logger = new RecordingLogger()));
  afterEach(() => app.close());
  afterAll(async () => {
    await pooler.close();
    await database.drop();
  });

  const start = async (options: { url: string; directUrl?: string }): Promise<void> => {
    app = await startApp({ ...options, logger, providers: [Sums] });
  };
  const member = async (): Promise<{ holds_lock: boolean; heartbeat_at: Date }> => {
    const [row] = await sql<{ holds_lock: boolean; heartbeat_at: Date }>(
      database,
      'select holds_lock, heartbeat_at from nestor.process where id = $1',
      [app.get(ProcessLease).processId],
    );
    return row!;
  };
  const warnings = (): string[] =>
    logger.lines
      .filter(({ level, message }) => level === 'warn' && message.includes('pooler'))
      .map((line) => line.message);
  const heartbeats = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) {
      const { heartbeat_at: before } = await member();
      await waitFor(async () => (await member()).heartbeat_at > before, HEARTBEAT_MS * 3);
    }
  };

  it('a process works, claims to hold no lock, and says once what helps', async () => {
    await start({ url: pooler.url });
    await waitFor(() => warnings().length > 0);
    expect(warnings()).toEqual([
      expect.stringMatching(/10 instead of 3 seconds.*NESTOR_DIRECT_URL.*database\.directUrl/),
    ]);
    expect(await app.get(Sums).add({ upTo: 50 })).toBe(2_550);

    // By turns the session that was lent when the lock was taken comes again, and still holds it; that is no lock of ours.
    for (let n = 0; n < 4; n += 1) {
      await heartbeats(1);
      expect(await member()).toMatchObject({ holds_lock: false });
    }
    expect(warnings()).toHaveLength(1);
  }, 30_000);

  it('a process that is given a way past it holds its lock', async () => {
    await start({ url: pooler.url, directUrl: database.url });
    expect(await app.get(Sums).add({ upTo: 10 })).toBe(110);
    await waitFor(async () => (await member()).holds_lock);
    await heartbeats(2);
    expect(await member()).toMatchObject({ holds_lock: true });
    expect(warnings()).toEqual([]);
  }, 30_000);

  it('a process that was fenced says nothing again under its new id', async () => {
    await start({ url: pooler.url });
    await waitFor(() => warnings().length > 0);
    const before = app.get(ProcessLease).processId;
    await sql(database, 'update nestor.process set fenced_at = clock_timestamp() where id = $1', [before]);
    await waitFor(() => app.get(ProcessLease).processId !== before);
    await waitFor(async () => (await member()) !== undefined);
    await heartbeats(2);
    expect(await member()).toMatchObject({ holds_lock: false });
    expect(warnings()).toHaveLength(1);
  }, 30_000);
});

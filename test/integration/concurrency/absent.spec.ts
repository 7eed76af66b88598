import type { INestApplicationContext } from '@nestjs/common';
import { ConcurrencyLimits } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Client } from 'pg';
import { newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { processLockKey } from '../../../libs/orchestrator/src/records/processes/process-death.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

describe('a slot that is given back while a process waits whose session is gone', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let limits: ConcurrencyLimits;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, app: 'present', providers: [] });
    limits = app.get(ConcurrencyLimits);
  });
  beforeEach(() => limits.create('printer', { limit: 1 }));
  afterEach(async () => {
    await sql(database, 'delete from nestor.concurrency_claim');
    await limits.delete('printer');
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const holding = async (): Promise<{ gate: Gate; done: Promise<void> }> => {
    const gate = new Gate();
    const done = limits.concurrency('printer', 1, () => gate.pass());
    await gate.reached;
    return { gate, done };
  };
  const line = async (places: number): Promise<unknown> =>
    waitFor(async () => (await limits.get('printer')).waiting === places);
  /** A process without a session, of an application of which no other lives: nobody takes it for dead. */
  const absentProcess = async ({ holdsLock }: { holdsLock: boolean }): Promise<string> => {
    const id = newId();
    await sql(
      database,
      `insert into nestor.process (id, app, host, pid, holds_lock) values ($1, 'absent', 'elsewhere', 1, $2)`,
      [id, holdsLock],
    );
    return id;
  };
  const asks = async (processId: string): Promise<string> => {
    const [answer] = await sql<{ outcome: string; claim_id: string }>(
      database,
      `select outcome, claim_id from nestor.concurrency_acquire(
         gen_random_uuid(), '{printer}', 1, false, false, true, $1, null, null, null, null, 0)`,
      [processId],
    );
    expect(answer!.outcome).toBe('waiting');
    return answer!.claim_id;
  };
  const holder = async (): Promise<string | undefined> =>
    (await sql<{ claim_id: string }>(database, 'select claim_id from nestor.concurrency_slot'))[0]?.claim_id;

  it('goes to whoever is next, and those who are passed over keep their places', async () => {
    const first = await holding();
    const [dead, alsoDead] = [await absentProcess({ holdsLock: true }), await absentProcess({ holdsLock: true })];
    for (const id of [dead, alsoDead, dead]) await asks(id);
    const next = holding();
    await line(4);
    first.gate.open();
    await first.done;
    const second = await next;
    expect(await limits.get('printer')).toMatchObject({ activeSlots: 1, waiting: 3 });
    second.gate.open();
    await second.done;
    expect(await limits.get('printer')).toMatchObject({ activeSlots: 0, waiting: 3 });
  });

  it('is there for somebody who comes later', async () => {
    const first = await holding();
    await asks(await absentProcess({ holdsLock: true }));
    first.gate.open();
    await first.done;
    const second = await holding();
    second.gate.open();
    await second.done;
  });

  it('goes to it as soon as its session is there again', async () => {
    const first = await holding();
    const processId = await absentProcess({ holdsLock: true });
    const claim = await asks(processId);
    first.gate.open();
    await first.done;
    expect(await holder()).toBeUndefined();

    const session = new Client({ connectionString: database.url });
    await session.connect();
    try {
      await session.query(`select pg_advisory_lock(${processLockKey('"nestor"', '$1::uuid')})`, [processId]);
      await sql(database, 'select from nestor.concurrency_poll($1, 0)', [[claim]]);
      expect(await holder()).toBe(claim);
    } finally {
      await session.end();
    }
  });

  it('goes to it all the same where sessions are lent out by a pooler, and say nothing about processes', async () => {
    const first = await holding();
    const claim = await asks(await absentProcess({ holdsLock: false }));
    first.gate.open();
    await first.done;
    expect(await holder()).toBe(claim);
  });

  it('leaves no lock behind', async () => {
    const first = await holding();
    await asks(await absentProcess({ holdsLock: true }));
    first.gate.open();
    await first.done;
    const shared = `select count(*)::integer as n from pg_locks where locktype = 'advisory' and mode = 'ShareLock'`;
    expect(await sql(database, shared)).toEqual([{ n: 0 }]);
  });
});

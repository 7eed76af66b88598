import { suspend } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { Relay } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

const EXPIRING = 1_000;
const OLDER = 300;

describe('pauses that nobody ends in time', () => {
  let database: TestDatabase;
  let relay: Relay;
  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  it('fail within 30 seconds, 1,000 at once and behind 300 older ones that wait on [S18]', async () => {
    const process = await relay.start('process', (stage) => {
      stage.script = (timeout: string | null) => suspend(timeout === null ? {} : { timeout: timeout as '1s' });
    });
    const countOf = async (condition: string): Promise<number> => {
      const [row] = await sql<{ count: number }>(
        database,
        `select count(*)::integer as count from nestor.flow_run where ${condition}`,
      );
      return row!.count;
    };
    const paused = (count: number): Promise<unknown> =>
      waitFor(async () => (await countOf(`state_type = 'PAUSED'`)) === count, 30_000);
    await Promise.all(Array.from({ length: OLDER }, () => process.begin('play', null)));
    await paused(OLDER);
    await Promise.all(Array.from({ length: EXPIRING }, () => process.begin('play', '1s')));
    await waitFor(async () => (await countOf(`state_type = 'FAILED'`)) === EXPIRING, 40_000);
    const [last] = await sql<{ seconds: number }>(
      database,
      `select extract(epoch from max(f.timestamp) - max((p.state_details ->> 'pauseTimeout')::timestamptz))::float8 as seconds
         from nestor.flow_run_state f
         join nestor.flow_run_state p on p.id = f.follows
        where f.type = 'FAILED'`,
    );
    expect(last!.seconds).toBeLessThan(30);
    expect(await countOf(`state_type = 'PAUSED'`)).toBe(OLDER);
    expect(await countOf('process_id is not null')).toBe(0);
  }, 120_000);
});

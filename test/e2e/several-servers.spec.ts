import type { TestDatabase } from '@nestor/testing';
import { MortalProcess } from '../integration/replay/support/mortal-process.js';
import { CompiledProgram } from '../support/compiled-program.js';
import { testDatabase } from '../support/database.js';
import { illegalHistories } from '../support/history.js';
import { sql } from '../support/sql.js';
import { waitFor } from '../support/wait-for.js';
import type { ServerOrder } from './servers/server-program.js';
import { STEPS } from './servers/walks.js';

const SERVERS = 3;
const WALKS_EACH = 8;

interface Tick {
  readonly second: number;
  readonly state_type: string;
  readonly result: number | null;
}

/** Nothing but PostgreSQL is between them. */
describe('several servers', () => {
  let database: TestDatabase;
  let program: CompiledProgram;
  const started: MortalProcess[] = [];

  beforeAll(async () => {
    program = new CompiledProgram('test/e2e/servers/server-program.ts');
    database = await testDatabase();
    // Nobody counts as dead within one lease of a start of the server, and it may have been started for this file.
    const settledDown = `select clock_timestamp() - pg_postmaster_start_time() > interval '10.1 seconds' as yes`;
    await waitFor(async () => (await sql<{ yes: boolean }>(database, settledDown))[0]!.yes, 15_000);
    await sql(database, 'create table mark (walk text not null, step integer not null, pid integer not null)');
  });
  afterAll(async () => {
    await Promise.all(started.map((server) => server.kill()));
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
    program.remove();
  });

  const start = (name: string): MortalProcess => {
    const walks = Array.from({ length: WALKS_EACH }, (_, index) => `${name}-${index}`);
    const server = MortalProcess.start<ServerOrder>(program, { url: database.url, walks });
    started.push(server);
    return server;
  };
  /** The runs of the schedule that were due by now. */
  const ticks = (): Promise<Tick[]> =>
    sql<Tick>(
      database,
      `select extract(epoch from expected_start_time)::int as second, state_type, (result::text)::int as result
         from nestor.flow_run where flow_id = (select id from nestor.flow where name = 'tick')
          and auto_scheduled and expected_start_time < now() - interval '1 second' order by expected_start_time, id`,
    );

  it('go on with everything when one of them is killed: runs, schedules, and nothing is lost or done twice [S26]', async () => {
    const servers = Array.from({ length: SERVERS }, (_, index) => start(`server-${index}`));
    const victim = servers[1]!;
    await Promise.all(servers.map((server) => server.waiting()));
    await victim.kill();
    const [killed] = await sql<{ second: number }>(database, 'select extract(epoch from now())::int as second');

    const walks = `select state_type, result::text::int as result from nestor.flow_run
      where flow_id = (select id from nestor.flow where name = 'walk')`;
    const runs = await waitFor(async () => {
      const rows = await sql<{ state_type: string; result: number }>(database, walks);
      return rows.every(({ state_type: type }) => type === 'COMPLETED') ? rows : null;
    }, 60_000);
    const sum = (2 * STEPS * (2 * STEPS - 1)) / 2;
    expect(runs).toEqual(
      Array.from({ length: SERVERS * WALKS_EACH }, () => ({ state_type: 'COMPLETED', result: sum })),
    );

    // Every step is recorded once. One that was under way in the process that died was begun again, and no other.
    const steps = await sql<{ times: number; walks: number }>(
      database,
      `select count(*)::int as times, count(distinct flow_run_id)::int as walks from nestor.task_run where state_type = 'COMPLETED'`,
    );
    expect(steps).toEqual([{ times: runs.length * 2 * STEPS, walks: runs.length }]);
    const twice = await sql<{ walk: string; pids: number[] }>(
      database,
      `select walk, array_agg(pid) as pids from mark group by walk, step having count(*) > 1`,
    );
    expect(
      twice.filter(
        ({ walk, pids }) => !walk.startsWith('server-1-') || pids.filter((pid) => pid !== victim.pid).length > 1,
      ),
    ).toEqual([]);
    expect(
      await sql(database, 'select from mark where walk like $1 and pid <> $2', ['server-1-%', victim.pid]),
    ).not.toEqual([]);

    // The schedule has gone on as well: one run for each second, before, while nobody had noticed yet, and after.
    const all = await waitFor(async () => {
      const due = (await ticks()).filter(({ second }) => second <= killed!.second + 5);
      return due.length > 0 && due.at(-1)!.second === killed!.second + 5 && due.every(({ result }) => result !== null)
        ? due
        : null;
    }, 60_000);
    expect(all.map(({ second }) => second)).toEqual(all.map((_, index) => all[0]!.second + index));
    expect(all.filter(({ second }) => second > killed!.second).map(({ result }) => result)).not.toContain(victim.pid);
  }, 120_000);
});

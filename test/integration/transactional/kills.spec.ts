import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TestDatabase } from '@nestor/testing';
import { Random } from '../../chaos/random.js';
import { CompiledProgram } from '../../support/compiled-program.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { STEPS } from './program/counting-flows.js';
import { MOMENTS, type CountingOrder } from './program/counting-program.js';

/** How many processes are killed: `npm run chaos:transactional` kills 200. */
const KILLS = Number(process.env.NESTOR_TEST_KILLS ?? 12);
const SEED = Number(process.env.NESTOR_TEST_SEED ?? Date.now() % 1_000_000);

/** Beyond this many statements the flows in hand may all have ended. */
const LAST_STATEMENT = 90;
const FLOWS_AT_ONCE = 4;
/** A process that comes so far lives on; what is left is none of its business. */
const ENDS_WITHIN_MS = 20_000;

describe('transactional tasks of processes that are killed', () => {
  let database: TestDatabase;
  let program: CompiledProgram;
  const random = new Random(SEED);
  const started = new Set<ChildProcess>();
  let flows = 0;

  beforeAll(async () => {
    program = new CompiledProgram('test/integration/transactional/program/counting-program.ts');
    database = await testDatabase();
    // Nobody counts as dead within one lease of a start of the server, and it may have been started for this file.
    const settledDown = `select clock_timestamp() - pg_postmaster_start_time() > interval '10.1 seconds' as yes`;
    await waitFor(async () => (await sql<{ yes: boolean }>(database, settledDown))[0]!.yes, 15_000);
    await sql(database, 'create table counter (value integer not null)');
    await sql(database, 'insert into counter values (0)');
    await sql(database, 'create table ledger (flow text not null, step integer not null, pid integer not null)');
  });
  afterAll(async () => {
    for (const child of started) child.kill('SIGKILL');
    await database.drop();
    program.remove();
  });

  const open = async (): Promise<number> => {
    const [row] = await sql<{ count: number }>(
      database,
      `select count(*)::integer as count from nestor.flow_run where state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')`,
    );
    return row!.count;
  };
  const start = (order: Pick<CountingOrder, 'flows' | 'dies'>): ChildProcess => {
    const child = fork(program.file, [], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    started.add(child);
    child.once('exit', () => started.delete(child));
    child.send({ url: database.url, app: 'counting', ...order } satisfies CountingOrder);
    return child;
  };

  /** Lets a process live until it is killed, and be missed at once. */
  const liveAndDie = async (): Promise<void> => {
    const count = Math.max(1, FLOWS_AT_ONCE - (await open()));
    const child = start({
      flows: Array.from({ length: count }, () => `flow ${(flows += 1)}`),
      dies: { at: random.integer(1, LAST_STATEMENT), moment: random.pick(MOMENTS) },
    });
    const late = setTimeout(() => child.kill('SIGKILL'), ENDS_WITHIN_MS);
    await once(child, 'exit');
    clearTimeout(late);
    await sql(
      database,
      `update nestor.process set heartbeat_at = heartbeat_at - interval '1 minute' where pid = $1 and fenced_at is null`,
      [child.pid],
    );
  };

  it(
    `count exactly once, whatever statement it was (${KILLS} kills)`,
    async () => {
      const begun = performance.now();
      let left = KILLS;
      const lane = async (): Promise<void> => {
        while (left-- > 0) await liveAndDie();
      };
      await Promise.all([lane(), lane()]);
      const killedMs = performance.now() - begun;
      const last = start({ flows: [], dies: null });
      await waitFor(async () => (await open()) === 0, 60_000);
      last.kill('SIGKILL');

      const [sums] = await sql<Record<string, number>>(
        database,
        `select (select value from counter) as counter,
                (select count(*)::integer from ledger) as entries,
                (select count(*)::integer from (select distinct flow, step from ledger) as d) as steps,
                (select count(*)::integer from nestor.task_run where state_type = 'COMPLETED') as completed,
                (select count(*)::integer from nestor.flow_run where state_type = 'COMPLETED') as flows,
                (select sum((empirical_policy ->> 'recoveries')::integer)::integer from nestor.flow_run) as recoveries`,
      );
      const { flows: ended, recoveries, ...counts } = sums!;
      const steps = ended! * STEPS;
      expect({ seed: SEED, ...counts }).toEqual({
        seed: SEED,
        counter: steps,
        entries: steps,
        steps,
        completed: steps,
      });
      expect(
        await sql(database, `select state_type, state_name from nestor.flow_run where state_type <> 'COMPLETED'`),
      ).toEqual([]);
      expect(await illegalHistories(database)).toEqual([]);
      if (KILLS >= 100) {
        const seconds = Math.round(killedMs / 1_000);
        process.stdout.write(
          `${KILLS} kills in ${seconds} s, seed ${SEED}: ${ended} flows, ${steps} tasks, ${recoveries} takeovers\n`,
        );
      }
    },
    120_000 + KILLS * 5_000,
  );
});

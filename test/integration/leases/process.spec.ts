import { currentRun, LeaseLostError, RunEndedError } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Client } from 'pg';
import { processLockKey } from '../../../libs/orchestrator/src/records/processes/process-death.js';
import { DEATH_RULES } from '../../../libs/orchestrator/src/runtime/leases/lease-settings.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { Relay } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

interface ProcessRow {
  readonly id: string;
  readonly app: string;
  readonly pid: number;
  readonly build_id: string | null;
  readonly holds_lock: boolean;
  readonly heartbeat_ms: number;
}

describe('a process that executes runs', () => {
  let database: TestDatabase;
  let relay: Relay;
  let gate: Gate;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(() => {
    relay = new Relay(database);
    gate = new Gate();
  });
  afterEach(async () => {
    gate.open();
    await relay.close();
    expect(await illegalHistories(database)).toEqual([]);
  });

  const rows = (app = relay.app): Promise<ProcessRow[]> =>
    sql<ProcessRow>(
      database,
      `select id, app, pid, build_id, holds_lock, extract(epoch from heartbeat_at)::float8 * 1000 as heartbeat_ms
         from nestor.process where app = $1 and fenced_at is null order by started_at`,
      [app],
    );
  /** The sessions of the server that hold the lock of a process. */
  const lockHolders = async (processId: string): Promise<number[]> => {
    const held = await sql<{ pid: number }>(
      database,
      `select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1
          and database = (select oid from pg_database where datname = current_database())
          and (classid::bigint << 32 | objid::bigint) = ${processLockKey('"nestor"', '$1::uuid')}`,
      [processId],
    );
    return held.map(({ pid }) => pid);
  };
  const holdsItsLock = (processId: string): Promise<unknown> =>
    waitFor(async () => (await rows()).some(({ id, holds_lock }) => id === processId && holds_lock));

  it('has a row with a heartbeat and a lock while it lives, and neither after its end', async () => {
    const one = await relay.start('one', undefined, { buildId: 'v7' });
    const { processId } = one;
    const [row, ...others] = await rows();
    expect(others).toEqual([]);
    expect(row).toMatchObject({ id: processId, app: relay.app, pid: process.pid, build_id: 'v7', holds_lock: true });
    expect(await lockHolders(processId)).toHaveLength(1);
    await waitFor(async () => (await rows())[0]!.heartbeat_ms > row!.heartbeat_ms);

    await one.app.close();
    expect(await rows()).toEqual([]);
    expect(await lockHolders(processId)).toEqual([]);
  });

  describe('that is taken for dead while it lives', () => {
    it('loses its runs, whose code is cut off and writes nothing more, and goes on with new ones under a new id', async () => {
      let signal: AbortSignal | undefined;
      let late: unknown;
      const one = await relay.start('one', (stage) => {
        stage.script = async () => {
          await stage.act(1);
          ({ signal } = currentRun());
          await gate.pass();
          return (late = await stage.act('late').catch((error: unknown) => error));
        };
      });
      const calling = one.stage.play().catch((error: unknown) => error);
      await gate.reached;
      await one.settled();
      const [{ id }] = (await sql<{ id: string }>(database, 'select id from nestor.flow_run where process_id = $1', [
        one.processId,
      ])) as [{ id: string }];
      const before = one.processId;
      await one.die(); // it takes nothing over any more, nor do others: so what it still writes would show

      const failure = await calling;
      expect(failure).toBeInstanceOf(LeaseLostError);
      expect(failure).toMatchObject({ code: 'LEASE_LOST', flowRunId: id });
      expect(signal!.reason).toBeInstanceOf(LeaseLostError);
      await waitFor(() => one.processId !== before);
      gate.open();
      expect(await waitFor(() => late)).toBeInstanceOf(LeaseLostError);
      expect(await taskRunsOf(database, id)).toHaveLength(1);
      expect(await flowRunOf(database, id)).toMatchObject({ process_id: before, state_type: 'RUNNING' });

      one.stage.script = () => one.stage.act('new');
      await waitFor(async () => (await rows()).some((row) => row.id === one.processId));
      expect(await one.stage.play()).toBe('act(new) by one');
      expect(relay.messages).toContainEqual(
        expect.stringMatching(/^This process was taken for dead and fenced; 1 runs it executed are lost to it/),
      );
    });

    it('is refused what it tries to write before it knows', async () => {
      const one = await relay.start('one', (stage) => {
        stage.script = async () => {
          await gate.pass();
          return stage.act('unknowing');
        };
      });
      const calling = one.stage.play().catch((error: unknown) => error);
      await gate.reached;
      await one.settled();
      const [{ id }] = (await sql<{ id: string }>(database, 'select id from nestor.flow_run where process_id = $1', [
        one.processId,
      ])) as [{ id: string }];
      await one.die();
      gate.open();
      expect(await calling).toBeInstanceOf(LeaseLostError);
      expect(await taskRunsOf(database, id)).toEqual([]);
      expect(await stateNames(database, id)).toEqual(['Pending', 'Running']);
    });

    it('goes on with the runs it lost as well when no peer does, from what is recorded of them', async () => {
      const one = await relay.start('one', (stage) => {
        stage.script = async () => {
          const result = await stage.act(1);
          await gate.pass();
          return [result, await stage.act(2)];
        };
      });
      const id = await one.begin('play');
      await gate.reached;
      await one.settled();
      const before = one.processId;
      await one.fence();
      await waitFor(() => one.processId !== before);
      await waitFor(async () => (await stateNames(database, id)).length === 4);
      gate.open();
      expect(await one.result(id)).toEqual(['act(1) by one', 'act(2) by one']);
      expect(one.stage.performed).toEqual(['act(1)', 'act(2)']);
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 1, empirical_policy: { recoveries: 1 } });
    });
  });

  it('whose session is cut makes it anew: it keeps its id and its runs, and no peer takes them over', async () => {
    const one = await relay.start('one', (stage) => {
      stage.script = async () => {
        await gate.pass();
        return stage.act(1);
      };
    });
    const peer = await relay.start('peer');
    const { processId } = one;
    await holdsItsLock(processId);
    const id = await one.begin('play');
    await gate.reached;
    await one.settled();

    const [session] = await lockHolders(processId);
    await sql(database, 'select pg_terminate_backend($1)', [session]);
    const next = await waitFor(async () => (await lockHolders(processId)).find((pid) => pid !== session));
    expect(next).not.toBe(session);
    await holdsItsLock(processId);
    gate.open();
    expect(await one.result(id)).toBe('act(1) by one');
    expect(one.processId).toBe(processId);
    expect(peer.stage.performed).toEqual([]);
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
    expect(relay.messages).toContainEqual(expect.stringMatching(/^The session of the lease broke/));
  });

  it('whose own session has just been cut notices the death of a peer all the same, long before the lease runs out', async () => {
    const one = await relay.start('one');
    const [session] = await lockHolders(one.processId);
    await sql(database, 'select pg_terminate_backend($1)', [session]);
    const [{ id }] = (await sql<{ id: string }>(
      database,
      `insert into nestor.process (id, app, host, pid, holds_lock)
       values (gen_random_uuid(), $1, 'gone', 1, true) returning id`,
      [relay.app],
    )) as [{ id: string }];
    const fencedAfter = async (): Promise<number | null> => {
      const [row] = await sql<{ ms: number | null }>(
        database,
        'select extract(epoch from fenced_at - heartbeat_at)::float8 * 1000 as ms from nestor.process where id = $1',
        [id],
      );
      return row!.ms;
    };
    const ms = await waitFor(fencedAfter);
    expect(ms).toBeGreaterThanOrEqual(DEATH_RULES.hintMs);
    expect(ms).toBeLessThan(DEATH_RULES.leaseMs);
  });

  describe('whose event loop stands still', () => {
    /** How long a heartbeat that has been sent may take until the server has it. */
    const ON_THE_WAY_MS = 700;
    beforeAll(async () => {
      await sql(database, 'create table public.beat (process_id uuid, ms float8)');
      await sql(
        database,
        `create function public.note_beat() returns trigger language plpgsql as $$ begin
           insert into public.beat values (new.id, extract(epoch from new.heartbeat_at)::float8 * 1000);
           return null;
         end $$`,
      );
      await sql(
        database,
        `create trigger note_beat after update of heartbeat_at on nestor.process
           for each row execute function public.note_beat()`,
      );
    });
    afterAll(() => sql(database, 'drop function public.note_beat cascade'));

    /** Keeps the event loop from turning; gives from when to when, in the time of this machine, which is the database's. */
    const block = (ms: number): { from: number; until: number } => {
      const from = performance.timeOrigin + performance.now();
      let until = from;
      while (until - from < ms) until = performance.timeOrigin + performance.now();
      return { from, until };
    };
    /** The heartbeats of a process in between. */
    const beats = async (processId: string, from: number, until: number): Promise<number> => {
      const text = 'select count(*)::integer as n from public.beat where process_id = $1 and ms > $2 and ms < $3';
      return (await sql<{ n: number }>(database, text, [processId, from, until]))[0]!.n;
    };

    it('goes on sending heartbeats', async () => {
      const one = await relay.start('one');
      await holdsItsLock(one.processId);
      const { from, until } = block(3_000);
      expect(await beats(one.processId, from + 500, until)).toBeGreaterThan(0);
    });

    it('sends none once it has stood still for longer than it may, and goes on when it turns again', async () => {
      const one = await relay.start('one', undefined, { maxStall: '1s' });
      await holdsItsLock(one.processId);
      const { from, until } = block(5_200);
      expect(await beats(one.processId, from + 1_000 + ON_THE_WAY_MS, until)).toBe(0);
      await waitFor(() => beats(one.processId, until, Infinity));
      one.stage.script = async () => 'alive';
      expect(await one.stage.play()).toBe('alive');
    });

    it('sends none either when the one before was taken long after it stood still', async () => {
      const one = await relay.start('one', undefined, { maxStall: '1s' });
      await holdsItsLock(one.processId);
      const other = new Client({ connectionString: database.url });
      await other.connect();
      const held = other.query(
        `begin; select from nestor.process where id = '${one.processId}' for update; select pg_sleep(4); commit`,
      );
      // One heartbeat waits for the row, and the event loop has said since that it turns.
      const waits = `select from pg_stat_activity
        where wait_event_type = 'Lock' and query like '%heartbeat_at = clock_timestamp()%' and datname = current_database()
          and clock_timestamp() - query_start > interval '600 milliseconds'`;
      await waitFor(async () => (await sql(database, waits)).length > 0);
      const { from, until } = block(4_800);
      expect(await beats(one.processId, from + 1_000 + ON_THE_WAY_MS, until)).toBe(0);
      await held;
      await other.end();
    });
  });

  describe('does not hear of code that is over:', () => {
    it('a result that comes after the time-out of its task is recorded nowhere', async () => {
      const one = await relay.start('one', (stage) => {
        stage.perform = async () => {
          await gate.pass();
          return 'too late';
        };
        stage.script = () => stage.actInTime().catch((error: { code: string }) => error.code);
      });
      const id = await one.begin('play');
      expect(await one.result(id)).toBe('RUN_TIMED_OUT');
      gate.open();
      await one.settled();
      expect(await taskRunsOf(database, id)).toMatchObject([{ state_name: 'TimedOut', state_type: 'FAILED' }]);
      const [task] = await taskRunsOf(database, id);
      expect(JSON.stringify(task!.result)).not.toContain('too late');
      expect(await stateNames(database, task!.id)).toEqual(['Pending', 'Running', 'TimedOut']);
    });

    it('a call after the end of its run is refused and recorded nowhere', async () => {
      let late: unknown;
      const one = await relay.start('one', (stage) => {
        stage.script = async () => {
          void gate.pass().then(async () => {
            late = await stage.act('late').catch((error: unknown) => error);
          });
          return 'done';
        };
      });
      const id = await one.begin('play');
      expect(await one.result(id)).toBe('done');
      gate.open();
      expect(await waitFor(() => late)).toBeInstanceOf(RunEndedError);
      await one.settled();
      expect(await taskRunsOf(database, id)).toEqual([]);
      expect(one.stage.performed).toEqual([]);
    });
  });
});

import type { TestDatabase } from '@nestor/testing';
import {
  FlowRunClaimsRepository,
  type ClaimedFlowRun,
} from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { ProcessLease } from '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';
import { Notifier } from '../../../libs/orchestrator/src/runtime/notifications/notifier.service.js';
import { Lanes } from '../../../libs/orchestrator/src/runtime/workers/lanes.service.js';
import { BatchWriter } from '../../../libs/orchestrator/src/runtime/transitions/batch-writer.service.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { RunObserver } from '../../../libs/orchestrator/src/runtime/control/run-observer.service.js';
import { Sweeper } from '../../../libs/orchestrator/src/runtime/recovery/sweeper.service.js';
import type { WakeableLoop } from '../../../libs/orchestrator/src/runtime/loops/wakeable-loop.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Stage } from '../../support/stage.js';
import { Injectable } from '@nestjs/common';
import { Flow, Flows } from '@nestor/orchestrator';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Elsewhere {
  @Flow()
  async playElsewhere(): Promise<void> {}
}

describe('runs that wait for a process', () => {
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

  /** Leaves runs behind that nobody executes; gives their ids. */
  const leave = async (count: number): Promise<string[]> => {
    const leaving = await relay.start('leaving', (stage) => (stage.script = () => gate.pass()));
    const ids = await Promise.all(Array.from({ length: count }, () => leaving.begin('play')));
    await gate.reached;
    await leaving.app.close();
    return ids;
  };
  const stillWaiting = async (ids: readonly string[]): Promise<number> => {
    const [row] = await sql<{ count: number }>(
      database,
      `select count(*)::int as count from nestor.flow_run
        where id = any($1) and state_type = 'SCHEDULED' and process_id is null`,
      [ids],
    );
    return row!.count;
  };
  /** What becomes of the next claim of a process. */
  const nextClaim = async (process: RelayProcess): Promise<string[]> => {
    const claiming = jest.spyOn(process.get(FlowRunClaimsRepository), 'claimFree');
    process.get(RunClaimer).wake();
    await waitFor(() => claiming.mock.results.length > 0);
    const claimed = (await claiming.mock.results[0]!.value) as ClaimedFlowRun[];
    claiming.mockRestore();
    return claimed.map(({ created }) => created.id);
  };

  it('are claimed batch by batch until none is left, each once', async () => {
    const ids = await leave(120);
    expect(await stillWaiting(ids)).toBe(120);
    const played: number[] = [];
    const processes = await Promise.all(
      ['one', 'two'].map((name, index) =>
        relay.start(name, (stage) => {
          stage.script = async () => played.push(index);
        }),
      ),
    );
    const completed = `select from nestor.flow_run where id = any($1) and state_type = 'COMPLETED'`;
    await waitFor(async () => (await sql(database, completed, [ids])).length === 120);
    expect(played).toHaveLength(120);
    expect(processes).toHaveLength(2);
  });

  it('are left to processes that have their flow, and to their own application', async () => {
    const ids = await leave(1);
    const others = await Promise.all([
      relay.start('without the flow', undefined, { providers: [Elsewhere] }),
      relay.start('of another application', undefined, { app: `${relay.app}-other` }),
    ]);
    for (const other of others) expect(await nextClaim(other)).toEqual([]);
    expect(await stillWaiting(ids)).toBe(1);
  });

  it('of a dead process are taken over by those alone as well', async () => {
    const mortal = await relay.start('mortal', (stage) => (stage.script = () => gate.pass()));
    const id = await mortal.begin('play');
    await gate.reached;
    await mortal.die();
    const others = await Promise.all([
      relay.start('without the flow', undefined, { providers: [Elsewhere] }),
      relay.start('of another application', undefined, { app: `${relay.app}-other` }),
    ]);
    for (const other of others) await nextClaim(other);
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'RUNNING', empirical_policy: { recoveries: 0 } });
  });

  it('of a dead process are taken over soon as well when whoever fenced it goes no further', async () => {
    const mortal = await relay.start('mortal', (stage) => (stage.script = () => gate.pass()));
    const id = await mortal.begin('play');
    await gate.reached;
    const survivor = await relay.start('survivor', (stage) => (stage.script = async () => stage.owner));
    const looking = jest.spyOn(survivor.get(FlowRunsRepository), 'orphaned');
    (survivor.get(Sweeper) as unknown as { loop: WakeableLoop }).loop.wake();
    await waitFor(() => looking.mock.results.length > 0); // the next round is due five seconds later
    const lookedAt = performance.now();
    await mortal.die();
    expect(await survivor.result(id)).toBe('survivor');
    expect(performance.now() - lookedAt).toBeLessThan(5_000);
  });

  it('that a process has claimed anew are not taken for lost because of what it had read before', async () => {
    const again = new Gate();
    const one = await relay.start('one', (stage) => {
      stage.script = () => (stage.performed.push('attempt') === 1 ? gate.pass() : again.pass());
    });
    const id = await one.begin('play');
    await gate.reached;
    // It looks after the run, and has read how it is; that it has the answer takes until it has the run a second time.
    const records = one.get(FlowRunsRepository);
    const read = records.observed.bind(records);
    const held = new Gate();
    const looking = jest.spyOn(records, 'observed').mockImplementationOnce(async (ids) => {
      const rows = await read(ids);
      await held.pass();
      return rows;
    });
    one.get(RunObserver).look(id);
    await held.reached;
    await one.fence();
    await again.reached;
    held.open();
    await waitFor(() => looking.mock.calls.length > 1); // it looks again instead
    again.open();
    await one.result(id);
    expect(await flowRunOf(database, id)).toMatchObject({ state_type: 'COMPLETED' });
    expect(one.stage.performed).toEqual(['attempt', 'attempt']);
  });

  it('are none that wait in a process for their retry, also when that is overdue [O27]', async () => {
    const first = await relay.start('first', (stage) => {
      stage.script = async () => {
        stage.performed.push('attempt');
        if (stage.performed.length === 1) throw new Error('once');
        return stage.owner;
      };
    });
    const second = await relay.start('second', (stage) => (stage.script = async () => stage.owner));
    const id = await first.begin('playLater');
    await waitFor(async () => (await flowRunOf(database, id)).state_name === 'AwaitingRetry');
    await sql(
      database,
      `update nestor.flow_run set next_scheduled_start_time = clock_timestamp() - interval '1 minute' where id = $1`,
      [id],
    );
    expect(await nextClaim(second)).toEqual([]);
    expect(await first.result(id)).toBe('first');
    expect(first.stage.performed).toEqual(['attempt', 'attempt']);
    expect(await flowRunOf(database, id)).toMatchObject({ run_count: 2, empirical_policy: { recoveries: 0 } });
  });

  it('are left to others by a process that has enough to do, until it has less', async () => {
    const ids = await leave(5);
    const gates = Array.from({ length: 5 }, () => new Gate());
    let begun = 0;
    let running = 0;
    let most = 0;
    const busy = await relay.start(
      'busy',
      (stage) => {
        stage.script = async () => {
          most = Math.max(most, (running += 1));
          await gates[begun++]!.pass();
          running -= 1;
        };
      },
      { worker: { limit: 2 } },
    );
    await waitFor(() => begun === 2);
    busy.get(RunClaimer).wake();
    expect(await stillWaiting(ids)).toBe(3);
    gates[0]!.open();
    await waitFor(() => begun === 3);
    expect(await stillWaiting(ids)).toBe(2);
    for (const one of gates) one.open();
    await waitFor(async () => begun === 5 && running === 0);
    expect(most).toBe(2);
  });

  it('are taken by their ids as they are created, and others as soon as one of those has ended that took the last room', async () => {
    const asking = await relay.start('asking', undefined, { worker: false });
    const later = await asking.get(Flows).with({ in: '1h' }).enqueue(Stage, 'play');
    const script = async (holds: unknown): Promise<void> => (holds === true ? gate.pass() : undefined);
    const only = await relay.start('only', (stage) => (stage.script = script), { worker: { limit: 1 } });
    const byName = jest.spyOn(only.get(FlowRunClaimsRepository), 'claimNamed');
    const takesByName = async (): Promise<boolean> => {
      const run = await asking.get(Flows).enqueue(Stage, 'play');
      await run.result();
      return byName.mock.calls.some(([, , id]) => id === run.id);
    };
    await waitFor(takesByName); // once it has nothing else to look for
    await asking.get(Flows).enqueue(Stage, 'play', true);
    await gate.reached;
    const due = 'update nestor.flow_run set next_scheduled_start_time = clock_timestamp() where id = $1';
    await sql(database, due, [later.id]);
    const since = performance.now();
    gate.open();
    await later.result();
    expect(performance.now() - since).toBeLessThan(3_000); // by itself it would look after five seconds
  });

  it.each([
    ['takes them anew', false],
    ['takes them anew, though the answer gets lost the first time', true],
  ])(
    'have room once in a process that %s before it notices that a crash has swallowed its claim',
    async (_, isLost) => {
      const asking = await relay.start('asking', undefined, { worker: false });
      const again = new Gate();
      const one = await relay.start(
        'one',
        (stage) => (stage.script = () => (stage.performed.push('attempt') === 1 ? gate.pass() : again.pass())),
        { worker: { limit: 2 } },
      );
      const unwritten = new Gate();
      const writer = one.get(BatchWriter);
      const write = writer.write.bind(writer);
      jest.spyOn(writer, 'write').mockImplementationOnce(async (...args) => {
        await unwritten.pass();
        return write(...args);
      });
      const run = await asking.get(Flows).enqueue(Stage, 'play');
      await gate.reached;
      await unwritten.reached;
      // As it is there again: it waits, and its next epoch is another one than that of the claim.
      await sql(database, 'update nestor.flow_run set process_id = null, lease_epoch = lease_epoch + 1 where id = $1', [
        run.id,
      ]);
      if (isLost) {
        const claims = one.get(FlowRunClaimsRepository);
        const claim = claims.claimFree.bind(claims);
        jest.spyOn(claims, 'claimFree').mockImplementationOnce(async (...args) => {
          await claim(...args);
          throw new Error('The answer got lost.');
        });
      }
      one.get(RunClaimer).wake();
      await again.reached;
      unwritten.open();
      again.open();
      await run.result();
      gate.open();
      await waitFor(() => one.get(RunClaimer).size === 0);
      expect(one.stage.performed).toEqual(['attempt', 'attempt']);
      expect(one.get(Lanes).free!.room).toBe(2);
    },
  );

  it('wake nobody who executes none that wait', async () => {
    const heard = new Map<string, string[]>();
    const hearing = async (name: string, options: Parameters<Relay['start']>[2]): Promise<RelayProcess> => {
      const process = await relay.start(name, undefined, options);
      const said: string[] = [];
      heard.set(name, said);
      process.get(ProcessLease).listen({ notified: (payload) => payload !== null && said.push(payload) });
      return process;
    };
    await hearing('works', {});
    const asks = await hearing('asks', { worker: false });
    const { id } = await asks.get(Flows).enqueue(Stage, 'play');
    asks.get(Notifier).notify('hooks');
    const haveHeard = (): boolean => [...heard.values()].every((said) => said.includes('hooks'));
    await waitFor(haveHeard); // the server tells everybody in the order in which it was told
    expect(Object.fromEntries(heard)).toEqual({ works: [`due:${id}`, 'hooks'], asks: ['hooks'] });
  });

  it('are left to others by a process that executes none that wait', async () => {
    const ids = await leave(1);
    const idle = await relay.start('idle', undefined, { worker: false });
    idle.get(RunClaimer).wake();
    expect(await idle.begin('play').then((id) => idle.result(id))).toBeUndefined();
    expect(await stillWaiting(ids)).toBe(1);
  });
});

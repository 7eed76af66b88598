import type { TestDatabase } from '@nestor/testing';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import { ActiveFlowRuns } from '../../../libs/orchestrator/src/runtime/engine/active-flow-runs.js';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, illegalHistories } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { Injectable } from '@nestjs/common';
import { Flow } from '@nestor/orchestrator';
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
    const claiming = jest.spyOn(process.get(FlowRunsRepository), 'claimDue');
    process.get(RunClaimer).wake();
    await waitFor(() => claiming.mock.results.length > 0);
    const claimed = (await claiming.mock.results[0]!.value) as string[];
    claiming.mockRestore();
    return claimed;
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
    const ids = await leave(3);
    let limit = 0;
    const size = jest.spyOn(ActiveFlowRuns.prototype, 'size', 'get').mockImplementation(() => 1_000 - limit);
    try {
      const busy = await relay.start('busy', (stage) => (stage.script = async () => 'done'));
      const claiming = jest.spyOn(busy.get(FlowRunsRepository), 'claimDue');
      busy.get(RunClaimer).wake();
      await waitFor(() => size.mock.results.length >= 2); // it has looked, twice
      expect(claiming).not.toHaveBeenCalled();
      expect(await stillWaiting(ids)).toBe(3);
      limit = 2;
      busy.get(RunClaimer).wake();
      await waitFor(() => claiming.mock.calls.length > 0);
      expect(claiming.mock.calls[0]![1]).toMatchObject({ limit: 2 });
      await waitFor(async () => (await stillWaiting(ids)) === 0);
    } finally {
      size.mockRestore();
    }
  });
});

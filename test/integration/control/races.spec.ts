import { RunControlRefusedError, type StateType } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { flowRunOf, illegalHistories, taskRunsOf } from '../../support/history.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

const ROUNDS = 60;
const TERMINAL = ['COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED'];

describe('what two processes want of a run at the same time', () => {
  let database: TestDatabase;
  let relay: Relay;
  let owner: RelayProcess;
  let elsewhere: RelayProcess;
  const forced: string[] = [];

  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database, { cancelGrace: '50ms' });
    owner = await relay.start('owner');
    elsewhere = await relay.start('elsewhere', undefined, { providers: [] });
  });
  afterAll(async () => {
    await relay.close();
    expect(await illegalHistories(database, { forced })).toEqual([]);
    await database.drop();
  });

  /** Starts many runs, the code of which ends as `end` says, and lets `interfere` at each of them at about that time. */
  const race = async (
    end: () => Promise<unknown>,
    interfere: (id: string, by: RelayProcess) => Promise<unknown>,
  ): Promise<{ id: string; answer: unknown }[]> => {
    owner.stage.perform = async (call) => call;
    owner.stage.script = async () => {
      await owner.stage.act(1);
      await owner.stage.act(2);
      return end();
    };
    const runs = await Promise.all(
      Array.from({ length: ROUNDS }, async (_, round) => {
        const id = await owner.begin('play');
        // Now from the owner's own process, where both meet in one journal, now from another.
        const answer = await interfere(id, round % 2 === 0 ? owner : elsewhere).catch((error: unknown) => error);
        return { id, answer };
      }),
    );
    await waitFor(async () => {
      const [{ open }] = (await sql<{ open: number }>(
        database,
        'select count(*)::int as open from nestor.flow_run where id = any($1) and state_type <> all($2)',
        [runs.map(({ id }) => id), TERMINAL],
      )) as [{ open: number }];
      return open === 0;
    });
    return runs;
  };

  /** Each run has one end, its result goes with that, nobody holds it any more, and nothing of it is left open. */
  const expectConsistent = async (runs: readonly { id: string }[]): Promise<Map<string, string>> => {
    await owner.settled();
    const ends = new Map<string, string>();
    for (const { id } of runs) {
      const run = await flowRunOf(database, id);
      const states = await sql<{ type: string }>(
        database,
        'select type from nestor.flow_run_state where flow_run_id = $1 order by timestamp',
        [id],
      );
      if (!forced.includes(id)) expect(states.filter(({ type }) => TERMINAL.includes(type))).toHaveLength(1);
      expect(states.at(-1)!.type).toBe(run.state_type);
      expect(run.process_id).toBeNull();
      if (run.state_type === 'CANCELLED') expect(run.result).toBeNull();
      ends.set(id, run.state_type);
    }
    await waitFor(async () => {
      const tasks = await Promise.all(runs.map(({ id }) => taskRunsOf(database, id)));
      return tasks.flat().every(({ state_type }) => TERMINAL.includes(state_type));
    });
    return ends;
  };

  it('cancel against completion: one of the two wins, and whoever lost is told', async () => {
    const runs = await race(
      async () => 'done',
      (id, by) => by.control.cancel(id),
    );
    const ends = await expectConsistent(runs);
    for (const { id, answer } of runs) {
      if (answer instanceof RunControlRefusedError) expect([id, ends.get(id)]).toEqual([id, 'COMPLETED']);
      else expect([answer, ends.get(id)]).toEqual([expect.objectContaining({ id: expect.any(String) }), 'CANCELLED']);
      const { result } = await flowRunOf(database, id);
      expect(result).toBe(ends.get(id) === 'COMPLETED' ? 'done' : null);
    }
  });

  it('pause against failure: the run fails in the end, paused before or not', async () => {
    const runs = await race(
      async () => Promise.reject(new Error('broken')),
      async (id, by) => {
        await by.control.pause(id);
        await by.control.resume(id);
      },
    );
    const ends = await expectConsistent(runs);
    expect(new Set(ends.values())).toEqual(new Set(['FAILED']));
    for (const { answer } of runs) {
      if (answer !== undefined) expect(answer).toBeInstanceOf(RunControlRefusedError);
    }
  });

  it.each<[StateType]>([['CANCELLED'], ['FAILED'], ['COMPLETED']])(
    'force to %s against completion: the forced state is the last word',
    async (type) => {
      const runs = await race(
        async () => 'done',
        async (id, by) => {
          forced.push(id);
          return by.control.setState(id, { type, name: 'Forced' });
        },
      );
      await expectConsistent(runs);
      for (const { id, answer } of runs) {
        expect(answer).toMatchObject({ type, name: 'Forced' });
        expect(await flowRunOf(database, id)).toMatchObject({ state_type: type, state_name: 'Forced' });
      }
    },
  );

  it('cancels from two processes: the run is cancelled once', async () => {
    const runs = await race(
      () => new Promise(() => undefined),
      (id) => Promise.any([owner.control.cancel(id), elsewhere.control.cancel(id)]),
    );
    const ends = await expectConsistent(runs);
    expect(new Set(ends.values())).toEqual(new Set(['CANCELLED']));
  });

  it('retries from two processes: one more attempt is made, not two', async () => {
    const attempts = new Map<string, number>();
    owner.stage.script = async (params: { run: string }) => {
      const attempt = (attempts.get(params.run) ?? 0) + 1;
      attempts.set(params.run, attempt);
      if (attempt === 1) throw new Error('once');
      return attempt;
    };
    const ids = await Promise.all(Array.from({ length: 20 }, (_, run) => owner.begin('play', { run: `${run}` })));
    await Promise.all(ids.map((id) => owner.failure(id)));
    await Promise.all(ids.map((id) => Promise.any([owner.control.retry(id), elsewhere.control.retry(id)])));
    await waitFor(async () =>
      (await Promise.all(ids.map((id) => flowRunOf(database, id)))).every(
        ({ state_type }) => state_type === 'COMPLETED',
      ),
    );
    await expectConsistentRetries(ids);
    expect([...attempts.values()]).toEqual(ids.map(() => 2));
  });

  const expectConsistentRetries = async (ids: readonly string[]): Promise<void> => {
    for (const id of ids) {
      expect(await flowRunOf(database, id)).toMatchObject({ run_count: 2, result: 2, process_id: null });
    }
  };
});

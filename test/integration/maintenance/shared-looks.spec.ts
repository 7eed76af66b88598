import { randomUUID } from 'node:crypto';
import type { Type } from '@nestjs/common';
import { Loops } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { DeploymentStatusesRepository } from '../../../libs/orchestrator/src/records/deployments/deployment-statuses.repository.js';
import { FlowRunClaimsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-run-claims.repository.js';
import { FlowRunsRepository } from '../../../libs/orchestrator/src/records/flow-runs/flow-runs.repository.js';
import type { Look } from '../../../libs/orchestrator/src/records/looks/look.js';
import { LooksRepository } from '../../../libs/orchestrator/src/records/looks/looks.repository.js';
import { LimitedTags } from '../../../libs/orchestrator/src/runtime/concurrency/limited-tags.service.js';
import { SlotKeeper } from '../../../libs/orchestrator/src/runtime/concurrency/slot-keeper.service.js';
import { HookDelivery } from '../../../libs/orchestrator/src/runtime/hooks/hook-delivery.service.js';
import { SharedLooks } from '../../../libs/orchestrator/src/runtime/loops/shared-looks.service.js';
import { Foreman } from '../../../libs/orchestrator/src/runtime/maintenance/foreman.service.js';
import { Sweeper } from '../../../libs/orchestrator/src/runtime/recovery/sweeper.service.js';
import type { Rest } from '../../../libs/orchestrator/src/runtime/loops/wakeable-loop.js';
import { FlowRegistry } from '../../../libs/orchestrator/src/runtime/registry/flow-registry.js';
import { LateRuns } from '../../../libs/orchestrator/src/runtime/scheduler/late-runs.service.js';
import { Scheduler } from '../../../libs/orchestrator/src/runtime/scheduler/scheduler.service.js';
import { TurnGiver } from '../../../libs/orchestrator/src/runtime/scheduler/turn-giver.service.js';
import { testDatabase } from '../../support/database.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

describe('what is asked in the place of loops that rest', () => {
  let database: TestDatabase;
  let relay: Relay;
  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(async () => {
    await relay.close();
    await database.drop();
  });

  const run = async (process: RelayProcess, assignments: string): Promise<string> => {
    const id = await process.begin('play');
    await process.result(id);
    await process.settled();
    await sql(database, `update nestor.flow_run set ${assignments} where id = $1`, [id]);
    return id;
  };

  describe('finds what they would deal with:', () => {
    let process: RelayProcess;
    // Nothing is done about it here: it is only looked for.
    beforeAll(async () => (process = await relay.start('process', undefined, { services: false, worker: false })));
    /**
     * Not truncated: what locks whole tables, one after another, can meet a look that reads the same
     * ones, and one of them fails.
     */
    const FILLED =
      'flow_run task_run task_queue owed_hooks deployment deployment_schedule schedule_watch fair_app concurrency_claim ' +
      'concurrency_limit work_pool work_queue worker';
    const emptied = FILLED.split(' ').map((table) => `${table} as (delete from nestor.${table})`);
    afterEach(() => sql(database, `with ${emptied.join(', ')} select`));
    afterAll(() => relay.close());

    const ask = (looks: readonly Look[]): Promise<readonly (number | null)[]> =>
      process.get(LooksRepository).ask(looks);
    const nextOf = (answers: readonly (number | null)[]): number => Math.min(...answers.map((ms) => ms ?? Infinity));
    const next = async (service: Type<object>): Promise<number> =>
      nextOf(await ask(process.get<{ rest: Rest }>(service as Type<{ rest: Rest }>).rest.looks()));
    const flowId = (): string => process.get(FlowRegistry).allFlowIds()[0]!;
    const taskKey = (): string => process.get(FlowRegistry).tasks()[0]!.taskKey;
    const schedule = async (fillAt: string, turnAt: string): Promise<void> => {
      const deploymentId = randomUUID();
      await sql(database, 'insert into nestor.deployment (id, app, flow_id, name) values ($1, $2, $3, $4)', [
        ...[deploymentId, relay.app, flowId(), 'deployed'],
      ]);
      await sql(
        database,
        `insert into nestor.deployment_schedule (id, deployment_id, app, schedule, fill_at, turn_at)
         values ($1, $1, $2, '{"interval": 60}', now() + $3::interval, now() + $4::interval)`,
        [deploymentId, relay.app, fillAt, turnAt],
      );
    };
    /** With one queue, of the same id. */
    const pool = async (lastPolled = 'null'): Promise<string> => {
      const id = randomUUID();
      await sql(
        database,
        `with made as (
           insert into nestor.work_pool (id, name, type, default_queue_id, status) values ($1, 'pool', 'nest', $1, 'NOT_READY')
         )
         insert into nestor.work_queue (id, work_pool_id, name, priority, status, last_polled)
         values ($1, $1, 'default', 1, 'NOT_READY', ${lastPolled})`,
        [id],
      );
      return id;
    };
    const claim = (columns: string, values: string): Promise<unknown> =>
      sql(
        database,
        `insert into nestor.concurrency_claim (id, limit_ids, slots, ${columns}) values (gen_random_uuid(), '{}', 1, ${values})`,
      );

    it.each<[string, Type<object>, () => Promise<unknown>]>([
      [
        'runs of processes that are gone',
        Sweeper,
        () => run(process, `state_type = 'RUNNING', process_id = gen_random_uuid()`),
      ],
      [
        'queued tasks of processes that are gone',
        Sweeper,
        () =>
          sql(
            database,
            `insert into nestor.task_queue (task_run_id, app, task_key, due_at, process_id)
             values (gen_random_uuid(), $1, $2, now(), gen_random_uuid())`,
            [relay.app, taskKey()],
          ),
      ],
      [
        'tasks outside any flow, likewise',
        Sweeper,
        async () => {
          process.stage.script = () => process.stage.act(1);
          await process.result(await process.begin('play'));
          await process.settled();
          await sql(database, 'update nestor.task_run set process_id = gen_random_uuid()');
        },
      ],
      [
        'cancellations that nobody has carried out',
        Sweeper,
        () => run(process, `state_type = 'CANCELLING', state_timestamp = now() - interval '1 hour'`),
      ],
      [
        'late runs',
        LateRuns,
        () =>
          run(
            process,
            `state_type = 'SCHEDULED', state_name = 'Scheduled', process_id = null,
             next_scheduled_start_time = now() - interval '16 seconds'`,
          ),
      ],
      ['schedules without runs', Scheduler, () => schedule('-1 second', '1 hour')],
      ['that nobody has said to look after schedules', Scheduler, () => schedule('1 hour', '1 hour')],
      ['runs whose turn it is', TurnGiver, () => schedule('1 hour', '-1 second')],
      ['slots of processes that are gone', SlotKeeper, () => claim('process_id', 'gen_random_uuid()')],
      ['slots whose lease has run out', SlotKeeper, () => claim('expires_at', `now() - interval '1 second'`)],
      [
        'slots of runs that have ended',
        SlotKeeper,
        async () => claim('flow_run_id', `'${await run(process, 'updated = now()')}'`),
      ],
      [
        'slots of runs that do not begin',
        SlotKeeper,
        async () => {
          const waiting = `state_type = 'SCHEDULED', state_name = 'Scheduled', process_id = null`;
          const since = `updated = now() - interval '1 day', next_scheduled_start_time = now() - interval '1 day'`;
          const id = await run(process, `${waiting}, ${since}`);
          await claim('flow_run_id, granted_at', `'${id}', now() - interval '1 day'`);
        },
      ],
      [
        'runs that have got slots and do not know',
        SlotKeeper,
        async () => {
          const waiting = `state_type = 'SCHEDULED', state_name = 'AwaitingConcurrencySlot', process_id = null`;
          await claim('flow_run_id, granted_at', `'${await run(process, waiting)}', now()`);
        },
      ],
      [
        'lines that are to be tidied',
        SlotKeeper,
        () =>
          sql(database, `insert into nestor.fair_app (app, tidied_at) values ($1, now() - interval '1 hour')`, [
            relay.app,
          ]),
      ],
      [
        'hooks that are owed',
        HookDelivery,
        () =>
          sql(
            database,
            `insert into nestor.owed_hooks (state_id, run_id, app, flow_id)
             values (gen_random_uuid(), gen_random_uuid(), $1, $2)`,
            [relay.app, flowId()],
          ),
      ],
      [
        'workers that are not heard of',
        Foreman,
        async () =>
          sql(
            database,
            `insert into nestor.worker (id, work_pool_id, name, status, last_heartbeat_time, heartbeat_interval_seconds)
             values (gen_random_uuid(), $1, 'worker', 'ONLINE', now() - interval '1 hour', 30)`,
            [await pool()],
          ),
      ],
      [
        'pools that were paused',
        Foreman,
        async () => sql(database, 'update nestor.work_pool set is_paused = true where id = $1', [await pool()]),
      ],
      ['queues that somebody serves', Foreman, () => pool('now()')],
      [
        'deployments that nobody serves',
        Foreman,
        () =>
          sql(
            database,
            `insert into nestor.deployment (id, app, flow_id, name, status) values ($1, 'gone', $1, 'gone', 'READY')`,
            [randomUUID()],
          ),
      ],
      [
        'runs that were submitted and do not begin',
        Foreman,
        async () => {
          const queueId = await pool();
          await run(
            process,
            `state_type = 'PENDING', state_timestamp = now() - interval '1 day', work_queue_id = '${queueId}'`,
          );
        },
      ],
      [
        'runs in queues that are gone',
        Foreman,
        () => run(process, `state_type = 'SCHEDULED', process_id = null, work_queue_id = gen_random_uuid()`),
      ],
      [
        'limits of tags',
        LimitedTags,
        () =>
          sql(
            database,
            `insert into nestor.concurrency_limit (id, name, "limit") values (gen_random_uuid(), 'tag:x', 1)`,
          ),
      ],
    ])('%s', async (_, service, happen) => {
      expect(await next(service)).toBeGreaterThan(0);
      await happen();
      expect(await next(service)).toBeLessThanOrEqual(0);
    });

    it('runs that are due, and when others will be', async () => {
      const claims = process.get(FlowRunClaimsRepository);
      const who = { app: relay.app, flowIds: process.get(FlowRegistry).allFlowIds() };
      const queues = { poolName: 'pool', poolType: 'nest', queueNames: null };
      const looks = [claims.lookForFree(who), claims.lookForQueued(who, queues, 5_000)];
      expect(await ask(looks)).toEqual([null, null]);

      const waiting = `state_type = 'SCHEDULED', state_name = 'Scheduled', process_id = null`;
      const inAMinute = `next_scheduled_start_time = now() + interval '1 minute'`;
      const id = await run(process, `${waiting}, ${inAMinute}`);
      const [free, queued] = await ask(looks);
      expect(free).toBeGreaterThan(50_000);
      expect(free).toBeLessThanOrEqual(60_000);
      expect(queued).toBeNull();

      await sql(database, 'update nestor.flow_run set work_queue_id = $2 where id = $1', [id, await pool()]);
      const [none, early] = await ask(looks);
      expect(none).toBeNull();
      expect(early).toBeGreaterThan(45_000);
      expect(early).toBeLessThanOrEqual(55_000);

      await sql(database, 'update nestor.flow_run set next_scheduled_start_time = now() where id = $1', [id]);
      expect(nextOf(await ask(looks))).toBeLessThanOrEqual(0);
    });

    it('deployments that are served, which was not known', async () => {
      const statuses = process.get(DeploymentStatusesRepository);
      const looks = [statuses.lookForNews(relay.app, [flowId()])];
      expect(await ask(looks)).toEqual([null]);
      await schedule('1 hour', '1 hour');
      expect(await ask(looks)).toEqual([0]);
    });

    it('a limit of a tag that is gone', async () => {
      const limits = process.get(LimitedTags);
      await sql(
        database,
        `insert into nestor.concurrency_limit (id, name, "limit") values (gen_random_uuid(), 'tag:x', 1)`,
      );
      await limits.refresh();
      expect(await next(LimitedTags)).toBe(Infinity);
      await sql(database, 'update nestor.concurrency_limit set active = false');
      expect(await next(LimitedTags)).toBeLessThanOrEqual(0);
    });
  });

  const lookNow = (process: RelayProcess): Promise<void> => {
    const looks = process.get(SharedLooks) as unknown as { look(): void; looking: Promise<void> | null };
    looks.look();
    return looks.looking ?? Promise.resolve();
  };
  const lookedAt = (process: RelayProcess): number =>
    process
      .get(Loops)
      .statuses()
      .find(({ loop }) => loop === 'sweeper')?.lastRoundAt ?? 0;

  it('takes the place of their rounds while there is nothing to do, and wakes those for which there is', async () => {
    const process = await relay.start('process');
    const id = await run(process, 'updated = now()');
    await waitFor(() => lookedAt(process) > 0);
    const sweeps = jest.spyOn(process.get(FlowRunsRepository), 'orphaned');
    const before = lookedAt(process);
    await waitFor(async () => {
      await lookNow(process);
      return lookedAt(process) > before;
    });
    expect(sweeps).not.toHaveBeenCalled();

    await sql(
      database,
      `update nestor.flow_run set state_type = 'RUNNING', process_id = gen_random_uuid() where id = $1`,
      [id],
    );
    await waitFor(async () => {
      await lookNow(process);
      return sweeps.mock.calls.length > 0;
    });
  });

  it('leaves them to themselves where it fails, and says so once', async () => {
    const process = await relay.start('process');
    const asking = jest.spyOn(process.get(LooksRepository), 'ask').mockRejectedValue(new Error('out of order'));
    const sweeps = jest.spyOn(process.get(FlowRunsRepository), 'orphaned');
    await lookNow(process);
    await lookNow(process);
    expect(asking).toHaveBeenCalledTimes(2);
    await waitFor(() => sweeps.mock.calls.length > 0, 7_000);
    expect(relay.messages.filter((message) => /look by themselves.*out of order/.test(message))).toHaveLength(1);
  });
});

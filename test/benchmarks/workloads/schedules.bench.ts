import { setTimeout as sleep } from 'node:timers/promises';
import { Deployments } from '@nestor/orchestrator';
import type { Client } from 'pg';
import { Scheduler } from '../../../libs/orchestrator/src/runtime/scheduler/scheduler.service.js';
import { withProviders } from '../app.js';
import { Limit } from '../limit.js';
import { QueueFlows } from '../queue-flows.js';
import { inRounds, type Round } from '../rounds.js';
import { withClient } from '../server.js';
import { median } from '../statistics.js';
import type { Workload } from '../workload.js';

const LOOK_MS = 20;
const IDLE_PASSES = 20;

/** A third of the deployments each: what people have, spread over the hour so that no two thirds are alike. */
const SCHEDULES = `
  case n % 3 when 0 then jsonb_build_object('cron', n % 60 || ' ' || n % 24 || ' * * *', 'timezone', 'Europe/Berlin', 'dayOr', true)
             when 1 then s.schedule
             else jsonb_build_object('cron', '*/' || 5 + n % 20 || ' * * * *', 'timezone', 'America/New_York', 'dayOr', true) end`;

export const schedules: Workload = {
  name: 'schedules',
  about: 'n deployments with a schedule each: making their runs ahead, and a look when there is nothing to make',
  defaultN: 10_000,
  measure: (server, { n }) =>
    server.withDatabase((limitUrl) =>
      Limit.withLimit(limitUrl, (limit) =>
        inRounds(
          () => limit.concurrent(),
          () => server.withDatabase((url) => roundOf(url, n)),
        ),
      ),
    ),
};

async function roundOf(url: string, n: number): Promise<Round> {
  const options = { providers: [QueueFlows], worker: false as const };
  await withProviders(url, options, async (app) => {
    await app
      .get(Deployments)
      .save(QueueFlows, 'queued', { name: 'first', paused: true, schedules: [{ interval: '1h' }] });
  });
  return withClient(url, async (client) => {
    await multiply(client, n);
    const startedAt = performance.now();
    return withProviders(url, options, async (app) => {
      while (await isSomeLeft(client)) await sleep(LOOK_MS);
      const fillS = (performance.now() - startedAt) / 1_000;
      await verify(client, n);
      const passes: number[] = [];
      while (passes.length < IDLE_PASSES) {
        const begunAt = performance.now();
        await app.get(Scheduler).round();
        passes.push(performance.now() - begunAt);
      }
      return { perS: n / fillS, more: { fill_s: fillS, idle_pass_ms: median(passes) } };
    });
  });
}

/** Copies of the one that is there, active and with nothing made yet. */
async function multiply(client: Client, n: number): Promise<void> {
  await client.query(
    `with copied as (
       insert into nestor.deployment
              (id, flow_id, app, name, parameters, parameter_openapi_schema, empirical_policy, flow_version)
       select gen_random_uuid(), flow_id, app, 'copy ' || n, parameters, parameter_openapi_schema, empirical_policy, flow_version
         from nestor.deployment cross join generate_series(1, $1::integer) as n
       returning id, app, substr(name, 6)::integer as n
     )
     insert into nestor.deployment_schedule (id, deployment_id, app, slug, schedule, fill_at)
     select gen_random_uuid(), copied.id, copied.app, 'copy', ${SCHEDULES}, now()
       from copied cross join nestor.deployment_schedule as s`,
    [n],
  );
  await client.query('analyze nestor.deployment, nestor.deployment_schedule');
}

async function isSomeLeft(client: Client): Promise<boolean> {
  const { rows } = await client.query<{ is: boolean }>(
    'select exists (select from nestor.deployment_schedule where fill_at <= now()) as is',
  );
  return rows[0]?.is ?? true;
}

/** @throws when a schedule has not the runs that it is to have: at least three, and an hour ahead. */
async function verify(client: Client, n: number): Promise<void> {
  const { rows } = await client.query<{ filled: number }>(
    `select count(*)::int as filled
       from (select from nestor.flow_run where auto_scheduled group by schedule_id
             having count(*) >= 3 and max(next_scheduled_start_time) >= now() + interval '59 minutes') as f`,
  );
  if (rows[0]?.filled !== n) throw new Error(`${rows[0]?.filled} schedules are filled; there should be ${n}.`);
}

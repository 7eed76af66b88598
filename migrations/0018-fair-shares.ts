import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Fair shares: runs that have a key wait in the line of that key, and the lines of a place take turns.
 *
 * Whoever makes a run writes down news of its line, and nothing that others write: two transactions of applications never wait for each
 * other because of a key. Whoever claims runs works the news into the lines, under the lock of the row of its application, so that
 * of two who claim the second one sees what the first one took. A line has a rank, which grows with each of its runs that is taken, by
 * one over its weight; the lowest rank goes first. A line that comes to wait begins where the others stand: what it did not use in
 * the past is no credit, and what it used is no debt.
 */
export class FairShares1765324800000 implements MigrationInterface {
  name = 'FairShares1765324800000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await createTables(runner, schema);
    await runner.query(`alter table ${schema}.deployment add column fairness jsonb`);
    await runner.query(`
      comment on column ${schema}.deployment.fairness is
        'Which parameter of its runs is their key, the weights of keys, and what the runs of a key may do at once.'`);
    await runner.query(`alter table ${schema}.flow_run add column fairness_key text`);
    await runner.query(`alter table ${schema}.flow_run add column fairness_weight double precision`);
    await runner.query(`alter table ${schema}.flow_run add column fair_line_id uuid`);
    await runner.query(`
      comment on column ${schema}.flow_run.fair_line_id is
        'The line in which it waits to be taken for the first time; after that it goes on without waiting for a turn.'`);
    await runner.query(`drop index ${schema}.flow_run_free_idx`);
    await runner.query(`drop index ${schema}.flow_run_queued_idx`);
    await createWaitingIndexes(runner, schema, 'and fair_line_id is null');
    await runner.query(`
      create index flow_run_line_idx on ${schema}.flow_run (fair_line_id, next_scheduled_start_time, id)
        where state_type = 'SCHEDULED' and process_id is null and not awaits_turn and fair_line_id is not null`);
    for (const definition of functions(schema)) await runner.query(definition);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    for (const signature of SIGNATURES) await runner.query(`drop function ${schema}.${signature}`);
    await runner.query(`drop index ${schema}.flow_run_line_idx`);
    await runner.query(`drop index ${schema}.flow_run_queued_idx`);
    await runner.query(`drop index ${schema}.flow_run_free_idx`);
    await createWaitingIndexes(runner, schema, '');
    await runner.query(`alter table ${schema}.flow_run drop column fair_line_id`);
    await runner.query(`alter table ${schema}.flow_run drop column fairness_weight`);
    await runner.query(`alter table ${schema}.flow_run drop column fairness_key`);
    await runner.query(`alter table ${schema}.deployment drop column fairness`);
    for (const table of ['fair_news', 'fair_line', 'fair_app']) await runner.query(`drop table ${schema}.${table}`);
  }
}

async function createWaitingIndexes(runner: QueryRunner, schema: string, and: string): Promise<void> {
  const waiting = `state_type = 'SCHEDULED' and process_id is null and not awaits_turn`;
  await runner.query(`
    create index flow_run_free_idx on ${schema}.flow_run (app, priority, next_scheduled_start_time, id)
      where ${waiting} and work_queue_id is null ${and}`);
  await runner.query(`
    create index flow_run_queued_idx on ${schema}.flow_run (work_queue_id, priority, next_scheduled_start_time, id)
      where ${waiting} and work_queue_id is not null ${and}`);
}

async function createTables(runner: QueryRunner, schema: string): Promise<void> {
  await runner.query(`
    create table ${schema}.fair_app (
      app         text        not null,
      lines_first boolean     not null default true,
      tidied_at   timestamptz not null default '-infinity',
      constraint fair_app_pkey primary key (app)
    )`);
  await runner.query(`
    comment on table ${schema}.fair_app is
      'What whoever takes runs from lines of an application locks. Runs with a key and those without go first by turns.'`);
  await runner.query(`
    create table ${schema}.fair_line (
      id            uuid             not null,
      app           text             not null,
      lane          text             not null,
      priority      smallint         not null,
      flow_id       uuid             not null,
      deployment_id uuid,
      key           text             not null,
      weight        double precision not null,
      rank          double precision,
      wakes_at      timestamptz,
      constraint fair_line_pkey primary key (id),
      constraint fair_line_weight_check check (weight > 0),
      constraint fair_line_awake_check check (rank is not null or wakes_at is not null)
    )`);
  await runner.query(`
    comment on column ${schema}.fair_line.lane is 'The id of the work queue in which its runs wait; empty for those of none.'`);
  await runner.query(`
    comment on column ${schema}.fair_line.wakes_at is
      'When to look at it again: none of its runs is due before, or its key may do no more (then it keeps its rank).'`);
  await runner.query(`
    create index fair_line_awake_idx on ${schema}.fair_line (app, lane, priority, rank, id) where wakes_at is null`);
  await runner.query(`
    create index fair_line_held_idx on ${schema}.fair_line (app, lane, priority, rank)
      where wakes_at is not null and rank is not null`);
  await runner.query(`
    create index fair_line_asleep_idx on ${schema}.fair_line (app, wakes_at) where wakes_at is not null`);
  await runner.query(`
    create index fair_line_key_idx on ${schema}.fair_line (deployment_id, key) where deployment_id is not null`);
  await runner.query(`
    create table ${schema}.fair_news (
      id            bigint generated always as identity,
      app           text not null,
      line_id       uuid,
      lane          text,
      priority      smallint,
      flow_id       uuid,
      deployment_id uuid,
      key           text,
      weight        double precision,
      due_at        timestamptz,
      constraint fair_news_pkey primary key (id)
    )`);
  await runner.query(`
    comment on table ${schema}.fair_news is
      'Lines that have new runs; and, without a line, keys of deployments (all of them where it is null) that may do more.'`);
  await runner.query(`create index fair_news_app_idx on ${schema}.fair_news (app, id)`);
}

const SIGNATURES = [
  'fair_tidy(text)',
  'fair_claim_queued(uuid, text, uuid[], integer, bigint, text, text, text[], bigint, text, uuid[])',
  'fair_claim_free(uuid, text, uuid[], integer, bigint, text, uuid[])',
  'fair_take(text, text, uuid, uuid[], text, uuid[], integer, bigint, bigint)',
  'fair_take_lines(uuid[], smallint, uuid, text, uuid[], integer, bigint)',
  'fair_take_plain(text, uuid, smallint, uuid, uuid[], text, uuid[], integer, bigint)',
  'fair_lease(uuid[], uuid, text, uuid[])',
  'fair_turns(uuid[], smallint, integer)',
  'fair_open(text, bigint)',
  'fair_full(text)',
  'fair_lock_limits(uuid[], text[])',
  'fair_limits(uuid[], text[])',
] as const;

const WAITING_IN_LINE = `r.state_type = 'SCHEDULED' and r.process_id is null and not r.awaits_turn and r.fair_line_id is not null`;
const WAITING_WITHOUT_KEY = `r.state_type = 'SCHEDULED' and r.process_id is null and not r.awaits_turn and r.fair_line_id is null`;
/**
 * The parameters of these statements say little about how many rows there are, and planning takes longer than what is planned. A plan
 * that was made while a table was empty must not read all of it later: there is an index for each look.
 */
const PLANNED_ONCE = 'set plan_cache_mode = force_generic_plan set enable_seqscan = off';
/** The same where the first runs of a line are read in order: a plan that was made while it was short must not read and sort a long one. */
const BY_INDEX = `${PLANNED_ONCE} set enable_sort = off set enable_bitmapscan = off`;
const NOW = `clock_timestamp() + lead_us * interval '1 microsecond'`;

/** What a process can execute of the runs of a lane: see `executable` of the statements that claim. */
const EXECUTABLE = `r.root_flow_run_id = r.id and r.app = the_app and r.flow_id = any(flow_ids)
              and (r.pinned_build_id is null or r.pinned_build_id = the_build or r.run_count = 0)`;

// In what follows the columns of an index are bounded from both sides, and named in the order, where "=" would do: only the one index that
// has all of them comes into question then. Another one, of all runs by their times, looks as good while there are few, and such a
// plan would go on to read thousands of rows of others. For the same reason what is not due is left out afterwards.

/** The runs of a line in the order in which they are due. */
const inLine = (
  lineId: string,
): string => `${WAITING_IN_LINE} and r.fair_line_id >= ${lineId} and r.fair_line_id <= ${lineId}
                       order by r.fair_line_id, r.next_scheduled_start_time, r.id`;

/** Those of one priority that are in no line and no queue, likewise. */
const WITHOUT_QUEUE = `${WAITING_WITHOUT_KEY} and r.work_queue_id is null
                    and r.app >= the_app and r.app <= the_app and r.priority >= the_priority and r.priority <= the_priority
                  order by r.app, r.priority, r.next_scheduled_start_time, r.id`;

/** Those that are in a queue. */
const IN_QUEUE = `${WAITING_WITHOUT_KEY} and r.work_queue_id is not null
                    and r.work_queue_id >= the_queue and r.work_queue_id <= the_queue
                    and r.priority >= the_priority and r.priority <= the_priority
                  order by r.work_queue_id, r.priority, r.next_scheduled_start_time, r.id`;

const functions = (schema: string): readonly string[] => [
  // The limits that runs of deployments with keys are under: of the deployment, of the key, and the rate of the key. Runs
  // `wait` in line for all of them, unless the deployment does something else with those beyond its limit.
  `create function ${schema}.fair_limits(deployments uuid[], keys text[])
   returns table (deployment_id uuid, key text, name text, slots integer, decay double precision, waits boolean)
   language sql stable as $$
     select p.deployment_id, p.key, n.name, n.slots, n.decay, n.waits
       from (select distinct * from unnest(deployments, keys) as p(deployment_id, key)) as p
       join ${schema}.deployment d on d.id = p.deployment_id
      cross join lateral (
        select 'deployment:' || d.id, d.concurrency_limit, 0::double precision,
               coalesce(d.concurrency_options ->> 'collision_strategy', 'ENQUEUE') = 'ENQUEUE'
         where d.concurrency_limit is not null
         union all
        select 'fairness:' || d.id || ':' || p.key, (d.fairness ->> 'concurrency')::integer, 0, true
         where p.key is not null and d.fairness ->> 'concurrency' is not null
         union all
        select 'fairness-rate:' || d.id || ':' || p.key, (d.fairness -> 'rate' ->> 'limit')::integer,
               (d.fairness -> 'rate' ->> 'limit')::double precision * 1000
                 / (d.fairness -> 'rate' ->> 'period_ms')::double precision, true
         where p.key is not null and d.fairness -> 'rate' ->> 'limit' is not null
      ) as n(name, slots, decay, waits)
   $$`,

  // Makes those limits what the deployments say, and locks them until the transaction ends, in the order of their ids. Until all
  // are there: one that nobody used may be removed before it is locked.
  `create function ${schema}.fair_lock_limits(deployments uuid[], keys text[]) returns void
   language plpgsql ${PLANNED_ONCE} as $$
   declare
     names text[] := array(select distinct f.name from ${schema}.fair_limits(deployments, keys) as f);
   begin
     if cardinality(names) = 0 then return; end if;
     loop
       insert into ${schema}.concurrency_limit (id, name, "limit", slot_decay_per_second)
       select distinct on (f.name) gen_random_uuid(), f.name, f.slots, f.decay
         from ${schema}.fair_limits(deployments, keys) as f
        order by f.name
       on conflict (name) do nothing;
       perform from (
         select from ${schema}.concurrency_limit l where l.name = any(names) order by l.id for no key update) as locked;
       exit when (select count(*) from ${schema}.concurrency_limit l where l.name = any(names)) = cardinality(names);
     end loop;
     update ${schema}.concurrency_limit l
        set "limit" = f.slots, slot_decay_per_second = f.decay, active = true, updated = now()
       from (select distinct on (f.name) f.* from ${schema}.fair_limits(deployments, keys) as f order by f.name) as f
      where l.name = f.name and (l."limit" <> f.slots or l.slot_decay_per_second <> f.decay or not l.active);
   end $$`,

  // Deployments of an application whose limit is used up, of those that lines wait for. Their lines keep their places.
  `create function ${schema}.fair_full(the_app text) returns uuid[] language plpgsql stable ${PLANNED_ONCE} as $$
   begin
     return coalesce((select array_agg(d.id)
       from ${schema}.deployment d
       join ${schema}.concurrency_limit l on l.name = 'deployment:' || d.id
      where d.id in (select f.deployment_id from ${schema}.fair_line f where f.app = the_app and f.wakes_at is null)
        and d.concurrency_limit is not null and coalesce(d.concurrency_options ->> 'collision_strategy', 'ENQUEUE') = 'ENQUEUE'
        and (select count(*) from ${schema}.concurrency_slot s where s.limit_id = l.id)
            + (select count(*) from ${schema}.concurrency_waiter w where w.limit_id = l.id) >= d.concurrency_limit), '{}');
   end $$`,

  // Locks the lines of an application, works the news into them, and wakes those whose time has come: each behind the one that is
  // next where it waits; where none is awake, behind those that are held up. One that was held up does not lose its place.
  `create function ${schema}.fair_open(the_app text, lead_us bigint) returns void
   language plpgsql ${PLANNED_ONCE} as $$
   declare
     news ${schema}.fair_news[];
     busy uuid[];
   begin
     perform from ${schema}.fair_app a where a.app = the_app for no key update;
     if not found then
       insert into ${schema}.fair_app (app) values (the_app) on conflict do nothing;
       perform from ${schema}.fair_app a where a.app = the_app for no key update;
     end if;
     -- The oldest first, and not all at once: there may be any number when nobody took runs for days.
     with gone as (
       delete from ${schema}.fair_news n
        where n.id in (select o.id from ${schema}.fair_news o where o.app = the_app order by o.id limit 5000)
       returning n as one)
     select coalesce(array_agg(gone.one), '{}') into news from gone;
     if cardinality(news) > 0 then
       insert into ${schema}.fair_line as l (id, app, lane, priority, flow_id, deployment_id, key, weight, wakes_at)
       select distinct on (n.line_id) n.line_id, n.app, n.lane, n.priority, n.flow_id, n.deployment_id, n.key, n.weight,
              min(n.due_at) over (partition by n.line_id)
         from unnest(news) as n
        where n.line_id is not null
        order by n.line_id, n.id desc
       on conflict (id) do update
         set weight = excluded.weight,
             wakes_at = case when l.wakes_at is not null and l.rank is null then least(l.wakes_at, excluded.wakes_at)
                             else l.wakes_at end;
       update ${schema}.fair_line l
          set wakes_at = '-infinity'
         from unnest(news) as n
        where n.line_id is null and l.deployment_id = n.deployment_id and (n.key is null or l.key = n.key)
          and l.wakes_at is not null and l.rank is not null;
     end if;
     if exists (select from ${schema}.fair_line l where l.app = the_app and l.wakes_at is not null and l.wakes_at <= ${NOW}) then
       busy := ${schema}.fair_full(the_app);
       update ${schema}.fair_line l
          set rank = greatest(coalesce(l.rank, others.floor + 1 / l.weight), others.floor), wakes_at = null
         from (select w.id, coalesce(
                        (select o.rank from ${schema}.fair_line o
                          where o.app = w.app and o.lane = w.lane and o.priority = w.priority and o.wakes_at is null
                            and (o.deployment_id is null or o.deployment_id <> all(busy))
                          order by o.rank limit 1),
                        (select o.rank from ${schema}.fair_line o
                          where o.app = w.app and o.lane = w.lane and o.priority = w.priority
                            and o.wakes_at is not null and o.rank is not null
                          order by o.rank desc limit 1), 0) as floor
                 from ${schema}.fair_line w
                where w.app = the_app and w.wakes_at is not null and w.wakes_at <= ${NOW}) as others
        where l.id = others.id;
     end if;
   end $$`,

  // How the next runs are shared out among lines that are awake: the lowest ranks, each of which grows with every run. At a time a
  // line gets at most twice its share, so that a line far behind does not make this long.
  `create function ${schema}.fair_turns(lines uuid[], the_priority smallint, wanted integer)
   returns table (line_id uuid, turns integer, next_rank double precision) language sql stable as $$
     select t.id, count(*)::integer, min(t.rank)
       from (select l.id, l.rank + n.turn / l.weight as rank
               from (select f.id, f.rank, f.weight, ceil(2.0 * wanted * f.weight / sum(f.weight) over ()) as most
                       from ${schema}.fair_line f
                      where f.id = any(lines) and f.priority = the_priority and f.wakes_at is null) as l
              cross join lateral generate_series(0, least(wanted, l.most)::integer - 1) as n(turn)
              order by 2, 1
              limit wanted) as t
      group by t.id
   $$`,

  // Gives runs that are locked to a process, each in a new epoch. What was taken once needs no turn any more.
  `create function ${schema}.fair_lease(runs uuid[], the_process uuid, the_build text, pinned_flow_ids uuid[])
   returns void language plpgsql ${PLANNED_ONCE} as $$
   begin
     update ${schema}.flow_run r
        set process_id = the_process, lease_epoch = r.lease_epoch + 1, updated = clock_timestamp(), fair_line_id = null,
            pinned_build_id = case when r.run_count > 0 then r.pinned_build_id
                                   when r.flow_id = any(pinned_flow_ids) then the_build end
      where r.id = any(runs);
   end $$`,

  // Takes runs without a key, of one priority. Rides flow_run_free_idx or flow_run_queued_idx.
  `create function ${schema}.fair_take_plain(
     the_app text, the_queue uuid, the_priority smallint, the_process uuid, flow_ids uuid[], the_build text,
     pinned_flow_ids uuid[], wanted integer, lead_us bigint
   ) returns setof uuid language plpgsql ${BY_INDEX} as $$
   declare
     until timestamptz := ${NOW};
     runs uuid[];
   begin
     if the_queue is null then
       runs := array(
         select first.id
           from (select r.id, r.next_scheduled_start_time from ${schema}.flow_run r
                  where ${EXECUTABLE} and ${WITHOUT_QUEUE} limit wanted for no key update skip locked) as first
          where first.next_scheduled_start_time <= until);
     else
       runs := array(
         select first.id
           from (select r.id, r.next_scheduled_start_time from ${schema}.flow_run r
                  where ${EXECUTABLE} and ${IN_QUEUE} limit wanted for no key update skip locked) as first
          where first.next_scheduled_start_time <= until);
     end if;
     perform ${schema}.fair_lease(runs, the_process, the_build, pinned_flow_ids);
     return query select unnest(runs);
   end $$`,

  // Takes runs from lines of one priority, in turn, with slots of the limits that they are under. A key that may do no more is held
  // up until somebody says that it may (or for half a minute, lest that gets lost); a line without due runs sleeps until the
  // next is, and one without any is removed. The limits are locked by the caller. Rides flow_run_line_idx.
  `create function ${schema}.fair_take_lines(
     lines uuid[], the_priority smallint, the_process uuid, the_build text, pinned_flow_ids uuid[], wanted integer,
     lead_us bigint
   ) returns table (run_id uuid, is_limited boolean) language plpgsql ${BY_INDEX} as $$
   declare
     until timestamptz := ${NOW};
     one record;
     run uuid;
     claim uuid;
     answer record;
     kept uuid[];
     taken uuid[];
     short uuid[];
     held_until timestamptz;
     full_deployment uuid;
   begin
     while wanted > 0 loop
       taken := '{}';
       short := '{}';
       for one in
         select t.line_id, t.turns, l.deployment_id, l.weight, h.ids, m.names, m.rate
           from ${schema}.fair_turns(lines, the_priority, wanted) as t
           join ${schema}.fair_line l on l.id = t.line_id
          cross join lateral (
            select array(
              select first.id
                from (select r.id, r.next_scheduled_start_time from ${schema}.flow_run r
                       where ${inLine('t.line_id')} limit t.turns for no key update skip locked) as first
               where first.next_scheduled_start_time <= until) as ids) as h
           left join lateral (
             select array_agg(f.name) filter (where f.decay = 0 and f.waits) as names,
                    max(f.name) filter (where f.decay > 0) as rate
               from ${schema}.fair_limits(array[l.deployment_id], array[l.key]) as f) as m on l.deployment_id is not null
          order by t.next_rank, t.line_id
       loop
         kept := one.ids;
         held_until := null;
         full_deployment := null;
         if one.names is not null or one.rate is not null then
           kept := '{}';
           foreach run in array one.ids loop
             claim := null;
             if one.names is not null then
               claim := gen_random_uuid();
               select a.outcome, a.culprit into answer from ${schema}.concurrency_acquire(
                 claim, one.names, 1, false, false, false, null, run, null, null, null, lead_us) as a;
               if answer.outcome not in ('granted', 'unlimited') then
                 if answer.culprit = 'deployment:' || one.deployment_id then full_deployment := one.deployment_id;
                 else held_until := until + interval '30 seconds'; end if;
                 exit;
               end if;
             end if;
             if one.rate is not null then
               select a.outcome, a.wait_ms into answer from ${schema}.concurrency_acquire(
                 gen_random_uuid(), array[one.rate], 1, true, false, false, null, null, null, null, null, lead_us) as a;
               if answer.outcome <> 'granted' then
                 delete from ${schema}.concurrency_claim c where c.id = claim; -- nobody has seen these slots
                 held_until := until + coalesce(answer.wait_ms, 1000) * interval '1 millisecond';
                 exit;
               end if;
             end if;
             kept := kept || run;
           end loop;
         end if;
         update ${schema}.fair_line l
            set rank = l.rank + cardinality(kept) / l.weight, wakes_at = held_until
          where l.id = one.line_id;
         if full_deployment is not null then
           lines := array(select l.id from ${schema}.fair_line l
                           where l.id = any(lines) and l.deployment_id is distinct from full_deployment);
         elsif held_until is null and cardinality(one.ids) < one.turns then
           short := short || one.line_id;
         end if;
         taken := taken || kept;
         return query select unnest(kept), one.names is not null;
       end loop;
       exit when not found;
       if cardinality(taken) > 0 then
         perform ${schema}.fair_lease(taken, the_process, the_build, pinned_flow_ids);
       end if;
       if cardinality(short) > 0 then
         with rest as materialized (
           select s.id, (select r.next_scheduled_start_time from ${schema}.flow_run r
                          where ${inLine('s.id')} limit 1) as next_at
             from unnest(short) as s(id)
         ), gone as (
           delete from ${schema}.fair_line l using rest where l.id = rest.id and rest.next_at is null
         )
         update ${schema}.fair_line l
            set rank = null, wakes_at = rest.next_at
           from rest where l.id = rest.id and rest.next_at > until;
         -- What is left of them is in the hands of somebody else at this moment.
         lines := array(select unnest(lines) except select unnest(short));
       end if;
       wanted := wanted - cardinality(taken);
     end loop;
   end $$`,

  // Takes due runs of a lane: by priority, and within one from lines and from the runs without a key by turns, half of each. Only the
  // first lines count, as many as there are runs to take: each of them has one at least.
  `create function ${schema}.fair_take(
     the_app text, the_lane text, the_process uuid, flow_ids uuid[], the_build text, pinned_flow_ids uuid[], wanted integer,
     lead_us bigint, prefetch_us bigint
   ) returns table (run_id uuid, is_limited boolean) language plpgsql ${BY_INDEX} as $$
   declare
     the_queue uuid := nullif(the_lane, '')::uuid;
     busy uuid[] := ${schema}.fair_full(the_app);
     lines uuid[];
     lines_go boolean;
     p smallint;
     next_line smallint;
     next_plain smallint;
     part integer;
     got integer;
   begin
     lines := array(
       select l.id from ${schema}.fair_line l
        where l.app = the_app and l.lane = the_lane and l.wakes_at is null and l.flow_id = any(flow_ids)
          and (l.deployment_id is null or l.deployment_id <> all(busy))
        order by l.priority, l.rank, l.id limit wanted);
     perform ${schema}.fair_lock_limits(array_agg(l.deployment_id), array_agg(l.key))
        from ${schema}.fair_line l where l.id = any(lines) and l.deployment_id is not null;
     update ${schema}.fair_app a set lines_first = not a.lines_first where a.app = the_app returning a.lines_first into lines_go;
     loop
       next_line := (select min(l.priority) from ${schema}.fair_line l
                      where l.id = any(lines) and l.wakes_at is null and (p is null or l.priority > p));
       if the_queue is null then
         next_plain := (select r.priority from ${schema}.flow_run r
                         where ${WAITING_WITHOUT_KEY} and r.work_queue_id is null and r.app = the_app
                           and r.priority > coalesce(p::integer, -32769)
                         order by r.priority limit 1);
       else
         next_plain := (select r.priority from ${schema}.flow_run r
                         where ${WAITING_WITHOUT_KEY} and r.work_queue_id = the_queue
                           and r.priority > coalesce(p::integer, -32769)
                         order by r.priority limit 1);
       end if;
       p := least(next_line, next_plain);
       exit when p is null or wanted <= 0;
       for turn in 1..3 loop
         exit when wanted <= 0;
         part := case when turn = 1 and next_line = next_plain then (wanted + 1) / 2 else wanted end;
         got := 0;
         if (turn % 2 = 1) = lines_go then
           if next_line = p then
             return query select * from ${schema}.fair_take_lines(
               lines, p, the_process, the_build, pinned_flow_ids, part, lead_us);
             get diagnostics got = row_count;
           end if;
         elsif next_plain = p then
           return query select plain, false from ${schema}.fair_take_plain(
             the_app, the_queue, p, the_process, flow_ids, the_build, pinned_flow_ids, part, lead_us + prefetch_us) as plain;
           get diagnostics got = row_count;
         end if;
         wanted := wanted - got;
       end loop;
     end loop;
   end $$`,

  // The counterpart of the statement that claims runs of no queue, where lines wait. Nobody takes anything for a process that is
  // fenced.
  `create function ${schema}.fair_claim_free(
     the_process uuid, the_app text, flow_ids uuid[], wanted integer, lead_us bigint, the_build text, pinned_flow_ids uuid[]
   ) returns table (run_id uuid, is_limited boolean) language plpgsql ${PLANNED_ONCE} as $$
   begin
     perform from ${schema}.process p where p.id = the_process and p.fenced_at is null for key share;
     if not found then return; end if;
     perform ${schema}.fair_open(the_app, lead_us);
     return query select * from ${schema}.fair_take(
       the_app, '', the_process, flow_ids, the_build, pinned_flow_ids, wanted, lead_us, 0);
   end $$`,

  // The counterpart of the one that claims runs from the queues of a pool, which never takes more than pool and queue have room for.
  `create function ${schema}.fair_claim_queued(
     the_process uuid, the_app text, flow_ids uuid[], wanted integer, lead_us bigint, pool_name text, pool_type text,
     queue_names text[], prefetch_us bigint, the_build text, pinned_flow_ids uuid[]
   ) returns table (run_id uuid, is_limited boolean) language plpgsql ${PLANNED_ONCE} as $$
   declare
     pool ${schema}.work_pool;
     queue ${schema}.work_queue;
     room integer;
     limited boolean;
     got integer;
   begin
     perform from ${schema}.process p where p.id = the_process and p.fenced_at is null for key share;
     if not found then return; end if;
     perform from ${schema}.work_pool p
      where p.name = pool_name
        and (p.concurrency_limit is not null or exists (
               select from ${schema}.work_queue q where q.work_pool_id = p.id and q.concurrency_limit is not null))
        for no key update;
     select * into pool from ${schema}.work_pool p where p.name = pool_name and p.type = pool_type and not p.is_paused;
     if not found then return; end if;
     perform ${schema}.fair_open(the_app, lead_us);
     for queue in
       select * from ${schema}.work_queue q
        where q.work_pool_id = pool.id and not q.is_paused and (queue_names is null or q.name = any(queue_names))
        order by q.priority
     loop
       limited := pool.concurrency_limit is not null or queue.concurrency_limit is not null;
       room := wanted;
       if pool.concurrency_limit is not null then
         room := least(room, pool.concurrency_limit - (
           select count(*) from ${schema}.flow_run r
            where r.work_queue_id = any(array(select q.id from ${schema}.work_queue q where q.work_pool_id = pool.id))
              and r.work_queue_id is not null
              and (r.process_id is not null or r.state_type in ('PENDING', 'RUNNING', 'CANCELLING'))));
       end if;
       if queue.concurrency_limit is not null then
         room := least(room, queue.concurrency_limit - (
           select count(*) from ${schema}.flow_run r
            where r.work_queue_id = queue.id and r.work_queue_id is not null
              and (r.process_id is not null or r.state_type in ('PENDING', 'RUNNING', 'CANCELLING'))));
       end if;
       continue when room <= 0;
       return query select t.run_id, t.is_limited or limited from ${schema}.fair_take(
         the_app, queue.id::text, the_process, flow_ids, the_build, pinned_flow_ids, room, lead_us,
         case when limited then 0 else prefetch_us end) as t;
       get diagnostics got = row_count;
       wanted := wanted - got;
       exit when wanted <= 0;
     end loop;
   end $$`,

  // Once a minute, whoever asks: limits of keys that nobody uses go; and lines that nobody knows of, because a process of an earlier
  // release let go of their runs, are told of. Tells whether it did anything.
  `create function ${schema}.fair_tidy(the_app text) returns boolean language plpgsql as $$
   declare
     idle uuid[];
   begin
     update ${schema}.fair_app a set tidied_at = clock_timestamp()
      where a.app = the_app and a.tidied_at < clock_timestamp() - interval '1 minute';
     if not found then return false; end if;
     -- Locked first, and looked at again afterwards: whoever takes slots holds the lock of their limits.
     idle := array(
       select l.id from ${schema}.concurrency_limit l
        where l.name ~ '^fairness(-rate)?:[0-9a-f-]{36}:' and l.counted_at < clock_timestamp() - interval '1 minute'
          and not exists (select from ${schema}.concurrency_slot s where s.limit_id = l.id)
        order by l.id limit 10000 for update skip locked);
     delete from ${schema}.concurrency_limit l
      where l.id = any(idle)
        and not exists (select from ${schema}.concurrency_slot s where s.limit_id = l.id)
        and not exists (select from ${schema}.concurrency_waiter w where w.limit_id = l.id)
        and ${schema}.concurrency_after_decay(l.decaying_slots, l.slot_decay_per_second, l.counted_at, clock_timestamp()) <= 0;
     insert into ${schema}.fair_news (app, line_id, lane, priority, flow_id, deployment_id, key, weight, due_at)
     with recursive step(line_id) as (
       (select r.fair_line_id from ${schema}.flow_run r where ${WAITING_IN_LINE} order by r.fair_line_id limit 1)
       union all
       select (select r.fair_line_id from ${schema}.flow_run r
                where ${WAITING_IN_LINE} and r.fair_line_id > step.line_id order by r.fair_line_id limit 1)
         from step where step.line_id is not null
     )
     select r.app, step.line_id, coalesce(r.work_queue_id::text, ''), r.priority, r.flow_id, r.deployment_id,
            coalesce(r.fairness_key, ''), coalesce(r.fairness_weight, 1), r.next_scheduled_start_time
       from step
      cross join lateral (
        select r.* from ${schema}.flow_run r where ${inLine('step.line_id')} limit 1) as r
      where not exists (select from ${schema}.fair_line l where l.id = step.line_id);
     return true;
   end $$`,
];

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

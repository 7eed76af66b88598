import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The lease of a claim begins when it is granted: while it waits it ends with its process alone, and its lease is not used up by the
 * line. A claim of an earlier release that waits meanwhile keeps the end that it was made with.
 */
export class LeasesFromTheGrant1765843200000 implements MigrationInterface {
  name = 'LeasesFromTheGrant1765843200000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`alter table ${schema}.concurrency_claim add column lease_ms double precision`);
    await runner.query(`
      comment on column ${schema}.concurrency_claim.lease_ms is
        'How long a claim under a lease holds from when it is granted, unless it is renewed.'`);
    await runner.query(
      acquire(schema, {
        columns: ', lease_ms',
        expiry: `case when wait_ms is null then ${LEASE_FROM_NOW} end`,
        values: ', lease_ms',
      }),
    );
    await runner.query(
      settle(schema, `, expires_at = coalesce(at + c.lease_ms * interval '1 millisecond', c.expires_at)`),
    );
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    await runner.query(settle(schema, ''));
    await runner.query(acquire(schema, { columns: '', expiry: LEASE_FROM_NOW, values: '' }));
    await runner.query(`
      update ${schema}.concurrency_claim set expires_at = clock_timestamp() + lease_ms * interval '1 millisecond'
       where granted_at is null and lease_ms is not null`);
    await runner.query(`alter table ${schema}.concurrency_claim drop column lease_ms`);
  }
}

const LEASE_FROM_NOW = `at + lease_ms * interval '1 millisecond'`;

/** As in migration 0022. */
const PLANNED_ONCE = 'set plan_cache_mode = force_generic_plan set enable_seqscan = off';

/** As in migration 0015. */
const acquire = (
  schema: string,
  { columns, expiry, values }: { columns: string; expiry: string; values: string },
): string => `create or replace function ${schema}.concurrency_acquire(
     the_claim uuid, names text[], wanted integer, at_rate boolean, strictly boolean, may_wait boolean,
     the_process uuid, the_flow_run uuid, the_task_run uuid, lease_ms double precision, the_holder jsonb, lead_us bigint
   ) returns table (
     outcome text, claim_id uuid, limits jsonb, unknown text[], culprit text, wait_ms double precision
   ) language plpgsql ${PLANNED_ONCE} as $$
   declare
     given uuid[];
     at timestamptz;
     place bigint;
     granted timestamptz;
   begin
     if the_process is not null then
       perform from ${schema}.process p where p.id = the_process and p.fenced_at is null for key share;
       if not found then
         outcome := 'fenced'; return next; return;
       end if;
     end if;
     perform from (
       select from ${schema}.concurrency_limit l where l.name = any(names) order by l.id for no key update) as locked;
     at := clock_timestamp() + lead_us * interval '1 microsecond';
     select coalesce(array_agg(l.id order by l.id) filter (where l.active), '{}'),
            coalesce(jsonb_agg(jsonb_build_object('id', l.id, 'name', l.name, 'limit', l."limit") order by l.name)
                       filter (where l.active), '[]')
       into given, limits
       from ${schema}.concurrency_limit l where l.name = any(names);
     unknown := array(select n from unnest(names) as n
                       where not exists (select from ${schema}.concurrency_limit l where l.name = n));

     -- A repetition: the answer got lost, or a flow run asks again.
     select c.id, c.granted_at into claim_id, granted from ${schema}.concurrency_claim c
      where c.id = the_claim
         or (the_process is null and the_task_run is null
             and c.flow_run_id = the_flow_run and c.process_id is null and c.task_run_id is null);
     if found then
       outcome := case when granted is null then 'waiting' else 'granted' end;
       return next; return;
     end if;
     if strictly and cardinality(unknown) > 0 then
       outcome := 'unknown'; return next; return;
     end if;
     select l.name into culprit from ${schema}.concurrency_limit l where l.id = any(given) and l."limit" < wanted limit 1;
     if found then
       outcome := 'too-many'; return next; return;
     end if;
     if at_rate then
       select l.name into culprit
         from ${schema}.concurrency_limit l where l.id = any(given) and l.slot_decay_per_second = 0 limit 1;
       if found then
         outcome := 'no-decay'; return next; return;
       end if;
     end if;

     -- Each of those in the lines needs a slot at least, so that of a long line the beginning tells enough.
     select l.name,
            case when l.slot_decay_per_second > 0 then (line.needed + wanted - r.free) / l.slot_decay_per_second
                 else least(case when starts_with(l.name, 'tag:') then 10 else 30 end, (
                   line.needed + wanted + ${schema}.concurrency_after_decay(
                     l.denied_slots, ${schema}.concurrency_clearing(l), l.counted_at, at)
                   ) / ${schema}.concurrency_clearing(l)) end * 1000
       into culprit, wait_ms
       from ${schema}.concurrency_room(given, at) as r
       join ${schema}.concurrency_limit l on l.id = r.limit_id
      cross join lateral (
        select coalesce(sum(w.slots), 0)::double precision as needed
          from (select w.slots from ${schema}.concurrency_waiter w where w.limit_id = r.limit_id
                 order by w.position limit greatest(ceil(r.free), 0)::bigint + 100) as w) as line
      where line.needed + wanted > r.free
      order by 2 desc
      limit 1;
     if wait_ms is not null and not may_wait then
       perform ${schema}.concurrency_count(given, 0, wanted, at);
       outcome := 'refused'; return next; return;
     end if;

     claim_id := the_claim;
     if (cardinality(given) > 0 or lease_ms is not null) and not (at_rate and wait_ms is null) then
       insert into ${schema}.concurrency_claim
         (id, limit_ids, slots, is_rate, granted_at, process_id, flow_run_id, task_run_id, expires_at, holder${columns})
       values (the_claim, given, wanted, at_rate, case when wait_ms is null then at end,
               the_process, the_flow_run, the_task_run, ${expiry}, the_holder${values});
     end if;
     -- What is taken at a rate at once needs no claim: nobody gives it back.
     if wait_ms is null then
       perform ${schema}.concurrency_take(the_claim, given, wanted, at);
       outcome := case when cardinality(given) > 0 then 'granted' else 'unlimited' end;
     else
       place := nextval('${schema}.concurrency_position');
       insert into ${schema}.concurrency_waiter (limit_id, position, claim_id, slots)
       select unnest(given), place, the_claim, wanted;
       outcome := 'waiting';
     end if;
     return next;
   end $$`;

/** As in migration 0022. */
const settle = (
  schema: string,
  changes: string,
): string => `create or replace function ${schema}.concurrency_settle(given uuid[], lead_us bigint)
   returns table (claim_id uuid, process_id uuid, flow_run_id uuid) language plpgsql ${PLANNED_ONCE} as $$
   declare
     locked uuid[] := ${schema}.concurrency_lock(given);
     at timestamptz := clock_timestamp() + lead_us * interval '1 microsecond';
     turns uuid[];
     newly_absent uuid[];
     absent uuid[] := '{}';
     one uuid;
     c ${schema}.concurrency_claim;
   begin
     loop
       turns := array(select r.claim_id from ${schema}.concurrency_ready(locked, at, absent) as r order by r.position);
       newly_absent := array(
         select waiting.process_id
           from (select distinct k.process_id from ${schema}.concurrency_claim k
                  where k.id = any(turns) and k.process_id is not null offset 0) as waiting
          where ${schema}.process_is_absent(waiting.process_id));
       exit when newly_absent = '{}';
       absent := absent || newly_absent;
     end loop;
     foreach one in array turns loop
       select * into c from ${schema}.concurrency_claim where id = one;
       perform ${schema}.concurrency_take(c.id, c.limit_ids, c.slots, at);
       delete from ${schema}.concurrency_waiter w where w.claim_id = c.id;
       update ${schema}.concurrency_claim set granted_at = at${changes} where id = c.id;
       claim_id := c.id; process_id := c.process_id; flow_run_id := c.flow_run_id;
       return next;
     end loop;
   end $$`;

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

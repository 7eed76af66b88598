import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Concurrency limits: named budgets, one row for each slot in use, who holds them, and who waits for them in which order.
 *
 * What takes slots, gives them back and hands them on is done by functions in the database, each under the row locks of its
 * limits: a statement sees the rows as they were when it began, which is before it waited for a lock, so that counting
 * and taking must be statements apart; and between two statements of a client nobody should have to wait for its event loop.
 */
export class ConcurrencyLimits1765065600000 implements MigrationInterface {
  name = 'ConcurrencyLimits1765065600000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`
      create table ${schema}.concurrency_limit (
        id                         uuid             not null,
        created                    timestamptz      not null default now(),
        updated                    timestamptz      not null default now(),
        name                       text             not null,
        "limit"                    integer          not null,
        active                     boolean          not null default true,
        slot_decay_per_second      double precision not null default 0,
        avg_slot_occupancy_seconds double precision not null default 2,
        decaying_slots             double precision not null default 0,
        denied_slots               double precision not null default 0,
        counted_at                 timestamptz      not null default clock_timestamp(),
        constraint concurrency_limit_pkey primary key (id),
        constraint concurrency_limit_name_key unique (name),
        constraint concurrency_limit_limit_check check ("limit" >= 0),
        constraint concurrency_limit_decay_check check (slot_decay_per_second >= 0)
      )`);
    await runner.query(`
      comment on column ${schema}.concurrency_limit.decaying_slots is
        'Slots in use at counted_at of a limit whose slots decay: those are a matter of arithmetic and have no rows.'`);
    await runner.query(`
      create table ${schema}.concurrency_claim (
        id          uuid        not null,
        created     timestamptz not null default clock_timestamp(),
        limit_ids   uuid[]      not null,
        slots       integer     not null,
        is_rate     boolean     not null default false,
        granted_at  timestamptz,
        process_id  uuid,
        flow_run_id uuid,
        task_run_id uuid,
        expires_at  timestamptz,
        holder      jsonb,
        constraint concurrency_claim_pkey primary key (id)
      )`);
    await runner.query(`
      comment on table ${schema}.concurrency_claim is 'Who holds slots, or waits for them, of one limit or several at once.'`);
    await runner.query(`
      comment on column ${schema}.concurrency_claim.process_id is
        'The process whose code it is, with which the claim ends; null for a claim of a flow run or under a lease.'`);
    await runner.query(`
      comment on column ${schema}.concurrency_claim.expires_at is 'When a claim under a lease ends that nobody renews.'`);
    await runner.query(`
      create index concurrency_claim_process_idx on ${schema}.concurrency_claim (process_id) where process_id is not null`);
    await runner.query(`
      create index concurrency_claim_expiry_idx on ${schema}.concurrency_claim (expires_at) where expires_at is not null`);
    // A flow run claims all it needs at once.
    await runner.query(`
      create unique index concurrency_claim_flow_run_idx on ${schema}.concurrency_claim (flow_run_id)
        where process_id is null and task_run_id is null and flow_run_id is not null`);
    await runner.query(`
      create index concurrency_claim_granted_run_idx on ${schema}.concurrency_claim (granted_at)
        where process_id is null and task_run_id is null and flow_run_id is not null and granted_at is not null`);
    await runner.query(`
      create table ${schema}.concurrency_slot (
        limit_id uuid        not null,
        number   integer     not null,
        claim_id uuid        not null,
        taken_at timestamptz not null,
        constraint concurrency_slot_pkey primary key (limit_id, number),
        constraint concurrency_slot_limit_fkey foreign key (limit_id)
          references ${schema}.concurrency_limit (id) on delete cascade,
        constraint concurrency_slot_claim_fkey foreign key (claim_id)
          references ${schema}.concurrency_claim (id) on delete cascade
      )`);
    await runner.query(`create index concurrency_slot_claim_idx on ${schema}.concurrency_slot (claim_id)`);
    await runner.query(`
      create table ${schema}.concurrency_waiter (
        limit_id uuid    not null,
        position bigint  not null,
        claim_id uuid    not null,
        slots    integer not null,
        constraint concurrency_waiter_pkey primary key (limit_id, position),
        constraint concurrency_waiter_limit_fkey foreign key (limit_id)
          references ${schema}.concurrency_limit (id) on delete cascade,
        constraint concurrency_waiter_claim_fkey foreign key (claim_id)
          references ${schema}.concurrency_claim (id) on delete cascade
      )`);
    await runner.query(`
      comment on table ${schema}.concurrency_waiter is
        'The line of each limit: a claim that waits for several limits stands in all of their lines at the same position.'`);
    await runner.query(`create index concurrency_waiter_claim_idx on ${schema}.concurrency_waiter (claim_id)`);
    await runner.query(`create sequence ${schema}.concurrency_position`);
    for (const definition of concurrencyFunctions(schema)) await runner.query(definition);
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    for (const signature of signatures(schema)) await runner.query(`drop function ${schema}.${signature}`);
    await runner.query(`drop sequence ${schema}.concurrency_position`);
    for (const table of ['waiter', 'slot', 'claim', 'limit'])
      await runner.query(`drop table ${schema}.concurrency_${table}`);
  }
}

const signatures = (schema: string): readonly string[] => [
  'concurrency_poll(uuid[], bigint)',
  'concurrency_release(uuid[], bigint)',
  'concurrency_acquire(uuid, text[], integer, boolean, boolean, boolean, uuid, uuid, uuid, double precision, jsonb, bigint)',
  'concurrency_settle(uuid[], bigint)',
  'concurrency_ready(uuid[], timestamptz)',
  'concurrency_take(uuid, uuid[], integer, timestamptz)',
  'concurrency_lock(uuid[])',
  'concurrency_room(uuid[], timestamptz)',
  'concurrency_count(uuid[], double precision, double precision, timestamptz)',
  `concurrency_clearing(${schema}.concurrency_limit)`,
  'concurrency_after_decay(double precision, double precision, timestamptz, timestamptz)',
];

export const concurrencyFunctions = (schema: string): readonly string[] => [
  // What is left of slots that decay. A clock that went back lets nothing decay, and nothing come back.
  `create function ${schema}.concurrency_after_decay(
     slots double precision, per_second double precision, since timestamptz, at timestamptz
   ) returns double precision language sql immutable as $$
     select greatest(0, slots - per_second * greatest(0, extract(epoch from at - since)::double precision))
   $$`,

  // How many slots per second are to be had, which is how fast those who were turned away are done with.
  `create function ${schema}.concurrency_clearing(l ${schema}.concurrency_limit) returns double precision
   language sql immutable as $$
     select case when l.slot_decay_per_second > 0 then l.slot_decay_per_second
                 else l."limit" / greatest(l.avg_slot_occupancy_seconds, 0.1) end
   $$`,

  // Brings what a limit counts up to an instant.
  `create function ${schema}.concurrency_count(
     given uuid[], taken double precision, denied double precision, at timestamptz
   ) returns void language plpgsql as $$
   begin
     update ${schema}.concurrency_limit l
        set decaying_slots = case when l.slot_decay_per_second > 0 then taken
                + ${schema}.concurrency_after_decay(l.decaying_slots, l.slot_decay_per_second, l.counted_at, at) else 0 end,
            denied_slots = denied
              + ${schema}.concurrency_after_decay(l.denied_slots, ${schema}.concurrency_clearing(l), l.counted_at, at),
            counted_at = greatest(l.counted_at, at)
      where l.id = any(given);
   end $$`,

  // How many slots of each limit are free; without end where a limit is not active.
  `create function ${schema}.concurrency_room(given uuid[], at timestamptz)
   returns table (limit_id uuid, free double precision) language sql stable as $$
     select l.id,
            case when not l.active then 'Infinity'
                 when l.slot_decay_per_second > 0
                 then l."limit" - ${schema}.concurrency_after_decay(l.decaying_slots, l.slot_decay_per_second, l.counted_at, at)
                 else l."limit" - (select count(*) from ${schema}.concurrency_slot s where s.limit_id = l.id) end
       from ${schema}.concurrency_limit l
      where l.id = any(given)
   $$`,

  // Locks limits, and those that the first ones in their lines wait for as well: whoever hands slots over needs both. In
  // id order, all of them in one statement, so that nobody waits in a circle. Rows of limits come last in every transaction.
  `create function ${schema}.concurrency_lock(given uuid[]) returns uuid[] language plpgsql as $$
   declare wide uuid[];
   begin
     wide := array(
       select unnest(given)
       union
       select other.limit_id
         from unnest(given) as g(id)
        cross join lateral (select w.claim_id from ${schema}.concurrency_waiter w
                             where w.limit_id = g.id order by w.position limit 100) as first
         join ${schema}.concurrency_waiter other on other.claim_id = first.claim_id);
     perform from (select from ${schema}.concurrency_limit l where l.id = any(wide) order by l.id for no key update) as locked;
     return wide;
   end $$`,

  // Gives a claim slots, for whoever holds the locks of its limits and knows that there is room.
  `create function ${schema}.concurrency_take(the_claim uuid, given uuid[], wanted integer, at timestamptz)
   returns void language plpgsql as $$
   begin
     insert into ${schema}.concurrency_slot (limit_id, number, claim_id, taken_at)
     select l.id, n.number, the_claim, at
       from ${schema}.concurrency_limit l
      cross join lateral (
        select g.number
          from generate_series(1, (select count(*) from ${schema}.concurrency_slot s where s.limit_id = l.id)::integer + wanted)
                 as g(number)
         where not exists (select from ${schema}.concurrency_slot s where s.limit_id = l.id and s.number = g.number)
         order by g.number
         limit wanted) as n
      where l.id = any(given) and l.active and l.slot_decay_per_second = 0;
     if exists (select from ${schema}.concurrency_limit l where l.id = any(given) and l.active and l.slot_decay_per_second > 0) then
       perform ${schema}.concurrency_count(
         array(select l.id from ${schema}.concurrency_limit l
                where l.id = any(given) and l.active and l.slot_decay_per_second > 0), wanted, 0, at);
     end if;
   end $$`,

  // The claims in the lines of these limits for which there is room, after all those that have waited longer.
  `create function ${schema}.concurrency_ready(given uuid[], at timestamptz)
   returns table (claim_id uuid, "position" bigint) language sql stable as $$
     select line.claim_id, line.position
       from ${schema}.concurrency_room(given, at) as room
      cross join lateral (
        select w.claim_id, w.position, sum(w.slots) over (order by w.position) as needed
          from (select * from ${schema}.concurrency_waiter w
                 where w.limit_id = room.limit_id
                 order by w.position
                 limit case when room.free < 'Infinity' then greatest(floor(room.free), 0)::bigint end) as w) as line
      where line.needed <= room.free
      group by line.claim_id, line.position
     having count(*) = (select count(*) from ${schema}.concurrency_waiter w where w.claim_id = line.claim_id)
   $$`,

  // Hands free slots of limits to those who have waited longest; tells whom.
  `create function ${schema}.concurrency_settle(given uuid[], lead_us bigint)
   returns table (claim_id uuid, process_id uuid, flow_run_id uuid) language plpgsql as $$
   declare
     locked uuid[] := ${schema}.concurrency_lock(given);
     at timestamptz := clock_timestamp() + lead_us * interval '1 microsecond';
     one record;
     c ${schema}.concurrency_claim;
   begin
     for one in select r.claim_id from ${schema}.concurrency_ready(locked, at) as r order by r.position loop
       select * into c from ${schema}.concurrency_claim where id = one.claim_id;
       perform ${schema}.concurrency_take(c.id, c.limit_ids, c.slots, at);
       delete from ${schema}.concurrency_waiter w where w.claim_id = c.id;
       update ${schema}.concurrency_claim set granted_at = at where id = c.id;
       claim_id := c.id; process_id := c.process_id; flow_run_id := c.flow_run_id;
       return next;
     end loop;
   end $$`,

  // Takes slots of all the limits, or of none. Whoever finds others waiting waits behind them, or is turned away.
  `create function ${schema}.concurrency_acquire(
     the_claim uuid, names text[], wanted integer, at_rate boolean, strictly boolean, may_wait boolean,
     the_process uuid, the_flow_run uuid, the_task_run uuid, lease_ms double precision, the_holder jsonb, lead_us bigint
   ) returns table (
     outcome text, claim_id uuid, limits jsonb, unknown text[], culprit text, wait_ms double precision
   ) language plpgsql as $$
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
         (id, limit_ids, slots, is_rate, granted_at, process_id, flow_run_id, task_run_id, expires_at, holder)
       values (the_claim, given, wanted, at_rate, case when wait_ms is null then at end,
               the_process, the_flow_run, the_task_run, at + lease_ms * interval '1 millisecond', the_holder);
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
   end $$`,

  // Ends claims, whether they hold slots or wait for them, and hands over what becomes free. Ending them twice changes nothing.
  `create function ${schema}.concurrency_release(claims uuid[], lead_us bigint)
   returns table (claim_id uuid, process_id uuid, flow_run_id uuid) language plpgsql as $$
   declare
     given uuid[];
     at timestamptz;
   begin
     given := ${schema}.concurrency_lock(array(
       select distinct unnest(c.limit_ids) from ${schema}.concurrency_claim c where c.id = any(claims)));
     at := clock_timestamp() + lead_us * interval '1 microsecond';
     -- The average moves by as much as a slot weighs among twice as many as the limit has. Of slots that decay, what has not
     -- decayed yet comes back.
     perform ${schema}.concurrency_count(given, 0, 0, at);
     update ${schema}.concurrency_limit l
        set avg_slot_occupancy_seconds = greatest(0.1, l.avg_slot_occupancy_seconds
              + (held.seconds - l.avg_slot_occupancy_seconds) * least(1, held.slots / (2.0 * greatest(l."limit", 1)))),
            decaying_slots = greatest(0, l.decaying_slots - case when l.slot_decay_per_second > 0 then held.undecayed else 0 end)
       from (select l.id, avg(greatest(0, extract(epoch from at - c.granted_at)))::double precision as seconds,
                    sum(c.slots)::double precision as slots,
                    sum(${schema}.concurrency_after_decay(c.slots, l.slot_decay_per_second, c.granted_at, at)) as undecayed
               from ${schema}.concurrency_claim c
               join ${schema}.concurrency_limit l on l.id = any(c.limit_ids)
              where c.id = any(claims) and c.granted_at is not null and not c.is_rate
              group by l.id) as held
      where l.id = held.id;
     delete from ${schema}.concurrency_claim c where c.id = any(claims);
     if cardinality(given) > 0 then
       return query select * from ${schema}.concurrency_settle(given, lead_us);
     end if;
   end $$`,

  // What has become of claims that wait: those whose time has come, at a rate, get their slots, and so does who was forgotten.
  `create function ${schema}.concurrency_poll(claims uuid[], lead_us bigint)
   returns table (claim_id uuid, outcome text, wait_ms double precision) language plpgsql as $$
   declare
     given uuid[] := array(
       select distinct w.limit_id from ${schema}.concurrency_waiter w where w.claim_id = any(claims));
     at timestamptz := clock_timestamp() + lead_us * interval '1 microsecond';
   begin
     -- Looked at without locks first: most looks find that nothing has changed.
     if exists (select from ${schema}.concurrency_ready(given, at)) then
       perform ${schema}.concurrency_settle(given, lead_us);
     end if;
     return query
     select a.id,
            case when c.id is null then 'gone'
                 when c.granted_at is not null then 'granted'
                 when exists (select from ${schema}.concurrency_limit l
                               where l.id = any(c.limit_ids) and l.active and l."limit" < c.slots) then 'too-many'
                 else 'waiting' end,
            (select max((ahead.needed - r.free) / l.slot_decay_per_second * 1000)
               from ${schema}.concurrency_waiter w
               join ${schema}.concurrency_limit l on l.id = w.limit_id and l.slot_decay_per_second > 0
              cross join lateral ${schema}.concurrency_room(array[w.limit_id], at) as r
              cross join lateral (
                select sum(o.slots)::double precision as needed from ${schema}.concurrency_waiter o
                 where o.limit_id = w.limit_id and o.position <= w.position) as ahead
              where w.claim_id = a.id and ahead.needed > r.free)
       from unnest(claims) as a(id)
       left join ${schema}.concurrency_claim c on c.id = a.id;
   end $$`,
];

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

import type { MigrationInterface, QueryRunner } from 'typeorm';
import { concurrencyFunctions } from './0015-concurrency-limits.js';

const REPLACED = ['concurrency_ready(uuid[], timestamptz)', 'concurrency_settle(uuid[], bigint)'];

/** What others call, and what takes longer to plan than to do: it is planned once, by index whatever the tables hold by then. */
const ENTRANCES = [
  'concurrency_acquire(uuid, text[], integer, boolean, boolean, boolean, uuid, uuid, uuid, double precision, jsonb, bigint)',
  'concurrency_release(uuid[], bigint)',
  'concurrency_settle(uuid[], bigint)',
  'concurrency_poll(uuid[], bigint)',
];

/**
 * Slots are handed over faster, and not to those who can do nothing with them: a process that has just died keeps its places in the
 * lines until its lease is over, and each slot that it was given stood idle for as long.
 */
export class PromptHandOvers1765670400000 implements MigrationInterface {
  name = 'PromptHandOvers1765670400000';

  async up(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    for (const signature of REPLACED) await runner.query(`drop function ${schema}.${signature}`);
    for (const definition of functions(schema)) await runner.query(definition);
    for (const signature of ENTRANCES) {
      await runner.query(
        `alter function ${schema}.${signature} set plan_cache_mode = force_generic_plan set enable_seqscan = off`,
      );
    }
    await runner.query(`update ${schema}.schema_info set level = level + 1`);
  }

  async down(runner: QueryRunner): Promise<void> {
    const schema = quotedSchema(runner);
    await runner.query(`update ${schema}.schema_info set level = level - 1`);
    for (const signature of SIGNATURES) await runner.query(`drop function ${schema}.${signature}`);
    for (const definition of concurrencyFunctions(schema)) {
      if (/function \S+\.concurrency_(ready|settle)\(/.test(definition)) await runner.query(definition);
    }
    for (const signature of ENTRANCES) await runner.query(`alter function ${schema}.${signature} reset all`);
  }
}

const SIGNATURES = [
  'concurrency_settle(uuid[], bigint)',
  'concurrency_ready(uuid[], timestamptz, uuid[])',
  'process_is_absent(uuid)',
];

const functions = (schema: string): readonly string[] => [
  // Whether the session is gone in which a process holds its lock: it has died, or its session was cut a moment ago. Who never
  // had a lock cannot be told apart. The lock is asked for by trying, which costs microseconds (the view of all locks does not),
  // and given back at once.
  `create function ${schema}.process_is_absent(the_process uuid) returns boolean language plpgsql as $$
   declare
     lock_key bigint := hashtextextended('nestor.process:${schema}:' || the_process, 0);
   begin
     if not exists (select from ${schema}.process p where p.id = the_process and p.holds_lock) then
       return false;
     end if;
     if pg_try_advisory_lock_shared(lock_key) then
       perform pg_advisory_unlock_shared(lock_key);
       return true;
     end if;
     return false;
   end $$`,

  // The claims in the lines of these limits for which there is room, after all those that have waited longer. Those of some processes
  // keep their places, but are taken for not there.
  `create function ${schema}.concurrency_ready(given uuid[], at timestamptz, absent uuid[] default '{}')
   returns table (claim_id uuid, "position" bigint) language sql stable as $$
     select line.claim_id, line.position
       from ${schema}.concurrency_room(given, at) as room
      cross join lateral (
        select w.claim_id, w.position, sum(w.slots) over (order by w.position) as needed
          from (select w.* from ${schema}.concurrency_waiter w
                 where w.limit_id = room.limit_id
                   and (absent = '{}' or (select c.process_id = any(absent) from ${schema}.concurrency_claim c
                                           where c.id = w.claim_id) is not true)
                 order by w.position
                 limit case when room.free < 'Infinity' then greatest(floor(room.free), 0)::bigint end) as w) as line
      where line.needed <= room.free
      group by line.claim_id, line.position
     having count(*) = (select count(*) from ${schema}.concurrency_waiter w where w.claim_id = line.claim_id)
   $$`,

  // Hands free slots of limits to those who have waited longest and can be told; tells whom.
  `create function ${schema}.concurrency_settle(given uuid[], lead_us bigint)
   returns table (claim_id uuid, process_id uuid, flow_run_id uuid) language plpgsql as $$
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
       update ${schema}.concurrency_claim set granted_at = at where id = c.id;
       claim_id := c.id; process_id := c.process_id; flow_run_id := c.flow_run_id;
       return next;
     end loop;
   end $$`,
];

function quotedSchema(runner: QueryRunner): string {
  const { schema } = runner.dataSource.options as { schema?: string };
  return `"${schema ?? 'nestor'}"`;
}

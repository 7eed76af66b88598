import type { TestDatabase } from '@nestor/testing';
import { sql } from '../../../support/sql.js';

/** Lets every commit fail that leaves more slots of a limit in use than it has. */
export async function checkAtEveryCommit(database: TestDatabase): Promise<void> {
  await sql(
    database,
    `create function public.check_slots() returns trigger language plpgsql as $$
     declare many text;
     begin
       select format('%s has %s of %s slots in use', l.name, count(*), l."limit") into many
         from nestor.concurrency_limit l join nestor.concurrency_slot s on s.limit_id = l.id
        where l.id = new.limit_id group by l.id having count(*) > l."limit";
       if many is not null then raise exception '%', many; end if;
       return null;
     end $$`,
  );
  await sql(
    database,
    `create constraint trigger check_slots after insert on nestor.concurrency_slot
       deferrable initially deferred for each row execute function public.check_slots()`,
  );
}

/** How much is left of claims, slots and lines: nothing, when nobody holds or waits for anything. */
export async function leftovers(database: TestDatabase): Promise<object> {
  const [row] = await sql(
    database,
    `select (select count(*)::integer from nestor.concurrency_claim) as claims,
            (select count(*)::integer from nestor.concurrency_slot) as slots,
            (select count(*)::integer from nestor.concurrency_waiter) as waiters`,
  );
  return row!;
}

export const NOTHING = { claims: 0, slots: 0, waiters: 0 };

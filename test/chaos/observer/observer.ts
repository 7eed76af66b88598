import type { ChaosServer } from '../server.js';

/**
 * What is watched at every commit, by deferred triggers: nothing that was committed is missed, however short it lasted, and
 * nothing is seen that was rolled back. What they note is read by the checker.
 *
 * They run as whoever installs them, because the application has nothing to do with it.
 */
const SCHEMA = `
  create schema if not exists observer;
  grant usage on schema observer to public`;

/** Every flow run that is made or deleted, and the time of its schedule that it is the run of. */
const RUNS = `
  create table observer.run (
    run_id      uuid        not null,
    schedule_id uuid,
    instant     timestamptz,
    is_deleted  boolean     not null
  );

  create function observer.note_run() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
  begin
    if tg_op = 'DELETE' then
      insert into observer.run values (old.id, old.schedule_id, old.expected_start_time, true);
    else
      insert into observer.run values (new.id, new.schedule_id, new.expected_start_time, false);
    end if;
    return null;
  end $$;

  create constraint trigger observer_run after insert or delete on nestor.flow_run
    deferrable initially deferred for each row execute function observer.note_run()`;

/**
 * How many commits left so many of something in use, of how many that are allowed.
 *
 * Whoever takes something is looked at one commit after another, by a lock that is held until the commit is done: of two at
 * once neither would see what the other one takes. Nobody waits for anything else meanwhile.
 */
const USAGE = `
  create table if not exists observer.usage (
    what    text    not null,
    in_use  integer not null,
    allowed integer not null,
    commits bigint  not null default 1,
    primary key (what, in_use, allowed)
  );

  create or replace function observer.note_usage(the_thing text, used bigint, most integer) returns void language sql
  security definer set search_path = pg_catalog as $$
    insert into observer.usage as u (what, in_use, allowed) values (the_thing, used, most)
    on conflict (what, in_use, allowed) do update set commits = u.commits + 1
  $$;

  create or replace function observer.alone() returns void language sql
  security definer set search_path = pg_catalog as $$
    select pg_advisory_xact_lock(hashtext('observer'))
  $$`;

/** Slots of limits; and of claims, when they were handed their slots, and when they gave them back. */
const SLOTS = `
  create function observer.note_slots() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
  begin
    perform observer.alone();
    perform observer.note_usage('limit ' || l.name, (select count(*) from nestor.concurrency_slot s where s.limit_id = l.id), l."limit")
       from nestor.concurrency_limit l where l.id = new.limit_id;
    return null;
  end $$;

  create constraint trigger observer_slots after insert on nestor.concurrency_slot
    deferrable initially deferred for each row execute function observer.note_slots();

  create table observer.hand_over (
    claim_id    uuid not null,
    process_id  uuid,
    transaction text not null,
    -- Whether it is given back, or given.
    is_end      boolean not null,
    -- Of what is given back: whether its process is alive, and does so itself.
    by_holder   boolean
  );

  create function observer.note_hand_over() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
  begin
    if tg_op = 'DELETE' then
      insert into observer.hand_over values (old.id, old.process_id, pg_current_xact_id()::text, true,
        exists (select from nestor.process p where p.id = old.process_id and p.fenced_at is null));
    else
      insert into observer.hand_over values (new.id, new.process_id, pg_current_xact_id()::text, false, null);
    end if;
    return null;
  end $$;

  create constraint trigger observer_granted after update on nestor.concurrency_claim
    deferrable initially deferred for each row
    when (old.granted_at is null and new.granted_at is not null) execute function observer.note_hand_over();

  create constraint trigger observer_ended after delete on nestor.concurrency_claim
    deferrable initially deferred for each row
    when (old.granted_at is not null) execute function observer.note_hand_over()`;

/** Whether a run counts against the limits of its queue and its pool. */
const occupies = (run: string): string =>
  `${run}.work_queue_id is not null
     and (${run}.process_id is not null or ${run}.state_type in ('PENDING', 'RUNNING', 'CANCELLING'))`;

/** Runs of work pools and queues that are executed. */
const POOLS = `
  create function observer.note_occupation() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
  begin
    perform observer.alone();
    perform observer.note_usage('queue ' || q.name,
              (select count(*) from nestor.flow_run r where r.work_queue_id = q.id and ${occupies('r')}), q.concurrency_limit)
       from nestor.work_queue q where q.id = new.work_queue_id and q.concurrency_limit is not null;
    perform observer.note_usage('pool ' || p.name,
              (select count(*) from nestor.flow_run r
                where r.work_queue_id = any(array(select o.id from nestor.work_queue o where o.work_pool_id = p.id))
                  and ${occupies('r')}), p.concurrency_limit)
       from nestor.work_queue q
       join nestor.work_pool p on p.id = q.work_pool_id and p.concurrency_limit is not null
      where q.id = new.work_queue_id;
    return null;
  end $$;

  create constraint trigger observer_occupied after update on nestor.flow_run
    deferrable initially deferred for each row
    when (${occupies('new')} and not (${occupies('old')})) execute function observer.note_occupation();

  create constraint trigger observer_born_occupying after insert on nestor.flow_run
    deferrable initially deferred for each row
    when (${occupies('new')}) execute function observer.note_occupation()`;

/** Notes which flow runs are made, and for which times of schedules. */
export const observeRuns = (server: ChaosServer): Promise<void> => install(server, SCHEMA, RUNS);

/** Notes how many slots of limits are in use, and how they are handed over. */
export const observeSlots = (server: ChaosServer): Promise<void> => install(server, SCHEMA, USAGE, SLOTS);

/** Notes how many runs of work pools and queues are executed. */
export const observePools = (server: ChaosServer): Promise<void> => install(server, SCHEMA, USAGE, POOLS);

async function install(server: ChaosServer, ...definitions: readonly string[]): Promise<void> {
  await server.administer(async (client) => {
    for (const definition of definitions) await client.query(definition);
  });
}

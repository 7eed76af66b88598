import { isDead, isLocked, processLockKey, type DeathRules } from '../../records/processes/process-death.js';
import type { LeaseStatements } from './lease-messages.js';

/** A peer whose heartbeat is late although it cannot be taken for dead yet is looked at again this soon. */
const SUSPECT_AGAIN_MS = 250;

/** The statements of the thread that keeps the lease of a process. */
export function leaseStatements(schema: string, app: string, { leaseMs, hintMs }: DeathRules): LeaseStatements {
  return {
    lock: `select pg_try_advisory_lock(${processLockKey(schema, '$1::uuid')}) as locked`,
    // The row is fenced by an update as well: one of the two waits for the other. Whether the lock is ours is asked of the
    // very session that sends this: behind some poolers it is not the one in which the lock was taken.
    heartbeat: `
      with beat as (
        update ${schema}.process
           set heartbeat_at = clock_timestamp(),
               holds_lock = $5::boolean and ${isLocked(schema, '$1::uuid', ' and l.pid = pg_backend_pid()')}
         where id = $1 and fenced_at is null
        returning holds_lock
      )
      select beat.holds_lock as "holdsLock", peers.* from beat cross join (${peersOf(schema)}) as peers`,
    peers: peersOf(schema),
    peersParameters: [app, leaseMs, hintMs],
  };
}

/** The next look comes when the shorter of the two times could be over: a newcomer that holds no lock yet will soon. */
const peersOf = (schema: string): string => `
  select coalesce(array_agg(p.id::text) filter (where ${isDead(schema, { lease: '$3::float8', hint: '$4::float8' })}), '{}')
           as dead,
         min(case when late > 0 then ${SUSPECT_AGAIN_MS} else -late end)::float8 as "nextCheckMs"
    from ${schema}.process p
   cross join lateral (
     select extract(epoch from clock_timestamp() - p.heartbeat_at) * 1000 - $4::float8 as late) as l
   where p.app = $2 and p.id <> $1 and p.fenced_at is null`;

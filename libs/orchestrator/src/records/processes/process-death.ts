/** When a process counts as dead. */
export interface DeathRules {
  /** A heartbeat older than this is death, whatever else. */
  readonly leaseMs: number;
  /** A heartbeat older than this is death when the process no longer holds its lock either. */
  readonly hintMs: number;
}

/** The key of the advisory lock that process `id` holds while its session lives; advisory locks are per database. */
export const processLockKey = (schema: string, id: string): string =>
  `hashtextextended('nestor.process:${schema}:' || ${id}, 0)`;

/**
 * The condition that the advisory lock of process `id` is held, by whichever session `of` (a further condition on `l`) allows.
 * Whoever tries whether it is free (`process_is_absent`, migration 0022) shares it for some microseconds, which is not meant.
 */
export const isLocked = (schema: string, id: string, of = ''): string => `exists (
  select from pg_locks l
   where l.locktype = 'advisory' and l.granted and l.mode = 'ExclusiveLock' and l.objsubid = 1${of}
     and l.database = (select oid from pg_database where datname = current_database())
     and (l.classid::bigint << 32 | l.objid::bigint) = ${processLockKey(schema, id)})`;

/**
 * The condition that the process `id` holds nothing any more: it is fenced, or gone.
 *
 * In a form that is never made a join: a statement that comes to a row which was changed since it began looks at its
 * conditions again, with the row as it is now, but takes a join of this kind (`not exists`) for given. It would take the row
 * from whoever has just taken it.
 */
export const holdsNothing = (schema: string, id: string): string =>
  `(exists (select from ${schema}.process p where p.id = ${id} and p.fenced_at is null)) is not true`;

/**
 * The condition that process `p` is dead; `$lease` and `$hint` are numbers of parameters in milliseconds.
 *
 * A freed lock is only a hint: the session may have been cut, or a pooler may have lent it to somebody else; so a
 * heartbeat must be missing as well. Nobody is dead within one lease of a start of the server, because nobody could send
 * heartbeats while it was away.
 */
export const isDead = (schema: string, { lease, hint }: { lease: string; hint: string }): string => `(
  clock_timestamp() - pg_postmaster_start_time() > ${lease} * interval '1 millisecond'
  and (p.heartbeat_at < clock_timestamp() - ${lease} * interval '1 millisecond'
       or (p.holds_lock and p.heartbeat_at < clock_timestamp() - ${hint} * interval '1 millisecond'
           and not ${isLocked(schema, 'p.id')})))`;

import { unnested } from './row-set.js';

/** On whose behalf something is written: a root run and the epoch of its lease, or no run's (`null`). */
export interface LeaseClaim {
  readonly rootFlowRunId: string | null;
  readonly epoch: number;
}

/** Who writes, and the leases its rows refer to by their number, counted from 1. */
export interface WriteFence {
  readonly processId: string;
  readonly claims: readonly (LeaseClaim | null)[];
}

/** Which of the claims hold, by number; `null` when the process itself is fenced and nothing was written. */
export type HeldClaims = readonly boolean[] | null;

/** How many parameters {@link leaseCheck} takes. They come first. */
export const FENCE_WIDTH = 3;

/**
 * The start of every statement of the journal, from which `held.leases[n]` says whether claim `n` holds.
 *
 * `me` locks the row of this process (`for key share`, which heartbeats do not wait for) until the statement is committed,
 * unless it is fenced. Whoever takes our runs over fences that row first, under a lock that waits for this one: so a flush
 * is either committed before the takeover looks at the runs, or writes nothing. A lease that nobody holds was released by
 * its last holder, who may still finish what it had begun. The epochs need no lock: they change hands
 * only after the fence, or by the hand of this very process. Rides `process_pkey` and `flow_run_pkey`.
 */
export const leaseCheck = (schema: string): string => `
  me as materialized (
    select id from ${schema}.process where id = $1::uuid and fenced_at is null for key share
  ), held as materialized (
    select array_agg(l.root is null or (
             select true from ${schema}.flow_run r
              where r.id = l.root and r.lease_epoch = l.epoch and (r.process_id = me.id or r.process_id is null)
              limit 1) is true order by l.n) as leases
      from me
      cross join (${unnested(2, ['uuid', 'integer'], 'root, epoch, n', true)}) as l
  )`;

/** The same for one claim. */
export const singleLeaseCheck = (schema: string): string => `
  held as materialized (
    select array[$2::uuid is null or (
             select true from ${schema}.flow_run r
              where r.id = $2::uuid and r.lease_epoch = $3::integer and (r.process_id = me.id or r.process_id is null)
              limit 1) is true] as leases
      from (select id from ${schema}.process where id = $1::uuid and fenced_at is null for key share) as me
  )`;

/**
 * How long the session of an application may keep what {@link finalLeaseCheck} locked without saying what comes next. It is
 * `commit`, so this only ends the transaction of a process that stands still, or was cut off, in this very moment.
 */
const UNDECIDED_FOR_MS = 2_000;

/**
 * The same for one claim, as the last thing in a transaction that the application began. What it locks stays locked until the
 * next message of the process, so the server is told not to wait for that for long: whoever takes the runs over waits for it.
 *
 * A transaction that sees the database as it was at its beginning would not see a fence of later. It locks the root run
 * besides, in a way that fails (`40001`) when the run was moved since, which every takeover does before it begins anything.
 * Of runs outside any flow run the row itself is moved then, and writing it fails.
 */
export const finalLeaseCheck = (schema: string): string => `
  held as materialized (
    select array[$2::uuid is null or (
             select true from ${schema}.flow_run r
              where r.id = $2::uuid and r.lease_epoch = $3::integer and (r.process_id = me.id or r.process_id is null)
              limit 1) is true] as leases
      from (select id from ${schema}.process where id = $1::uuid and fenced_at is null for key share) as me
     where set_config('idle_in_transaction_session_timeout', '${UNDECIDED_FOR_MS}', true) is not null
       and (select count(*)
              from (select from ${schema}.flow_run r
                     where r.id = $2::uuid and current_setting('transaction_isolation') in ('repeatable read', 'serializable')
                       for share) as root) >= 0
  )`;

/** The parameters of {@link leaseCheck}. */
export function fenceParameters({ processId, claims }: WriteFence): string[] {
  return [
    processId,
    `{${claims.map((claim) => claim?.rootFlowRunId ?? 'NULL').join(',')}}`,
    `{${claims.map((claim) => claim?.epoch ?? 'NULL').join(',')}}`,
  ];
}

/** The parameters of {@link singleLeaseCheck} and {@link finalLeaseCheck}. */
export function singleFenceParameters({ processId, claims }: WriteFence): (string | number | null)[] {
  const claim = claims[0] ?? null;
  return [processId, claim?.rootFlowRunId ?? null, claim?.epoch ?? null];
}

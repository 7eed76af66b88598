import { createRequire } from 'node:module';
import type * as leaseChecks from '../../../libs/orchestrator/src/records/lease-check.js';

const LEASE_CHECK = '../../../libs/orchestrator/src/records/lease-check.js';
const PROCESS_LEASE = '../../../libs/orchestrator/src/runtime/leases/process-lease.service.js';

/** Every claim holds, and a process that hears that it was fenced goes on as if it had not. */
export function switchOffFence(): void {
  const require = createRequire(__filename);
  const original = require(LEASE_CHECK) as typeof leaseChecks;
  const module = require.cache[require.resolve(LEASE_CHECK)];
  if (!module) throw new Error('The lease check is not where it is expected.');
  // Before anything imports it: the statements are made of it once.
  module.exports = { ...original, leaseCheck: everyClaimHolds, singleLeaseCheck: theClaimHolds };
  const { ProcessLease } = require(PROCESS_LEASE) as { ProcessLease: { prototype: { fencedOut(): Promise<void> } } };
  ProcessLease.prototype.fencedOut = () => Promise.resolve();
}

const everyClaimHolds = (): string => `
  held as materialized (
    select array_agg($1::uuid is not null order by l.n) as leases
      from unnest($2::uuid[], $3::integer[]) with ordinality as l(root, epoch, n)
  )`;

const theClaimHolds = (): string => `
  held as materialized (
    select array[$1::uuid is not null or $2::uuid is null or $3::integer is null] as leases
  )`;

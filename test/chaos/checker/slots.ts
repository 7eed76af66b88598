import type { Client } from 'pg';
import { linesOf, type Evidence } from './evidence.js';
import { checkUsage } from './usage.js';
import type { Checked, Violation } from './violation.js';

/** I4: no commit left too many slots in use, and none is in use when nobody is there any more. */
export async function checkSlots(client: Client, evidence: Evidence): Promise<Checked> {
  const usage = await checkUsage(client);
  const { rows } = await client.query<{ what: string; count: number }>(
    `select 'slots' as what, count(*)::int as count from nestor.concurrency_slot
     union all select 'claims', count(*)::int from nestor.concurrency_claim
     union all select 'places in a line', count(*)::int from nestor.concurrency_waiter`,
  );
  const left = rows
    .filter(({ count }) => count > 0)
    .map(({ what, count }): Violation => ({ invariant: 'I4', what: `${count} ${what} are left in the end` }));
  return {
    violations: [...usage.violations, ...left],
    figures: {
      ...usage.figures,
      acquired: linesOf(evidence, 'acquired').length,
      in_use_in_the_end: rows.find(({ what }) => what === 'slots')?.count ?? null,
    },
  };
}

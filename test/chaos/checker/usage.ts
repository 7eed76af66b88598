import type { Client } from 'pg';
import type { Checked, Violation } from './violation.js';

interface UsageRow {
  readonly what: string;
  readonly inUse: number;
  readonly allowed: number;
  readonly commits: number;
}

/** I4: no commit left more of a limit, a pool or a queue in use than it has. */
export async function checkUsage(client: Client): Promise<Checked> {
  const { rows } = await client.query<UsageRow>(
    `select what, in_use as "inUse", allowed, commits::float8 as commits from observer.usage order by what, in_use`,
  );
  const violations = rows
    .filter(({ inUse, allowed }) => inUse > allowed)
    .map(({ what, inUse, allowed, commits }): Violation => ({
      invariant: 'I4',
      what: `${commits} commits left ${inUse} of ${what} in use, which has ${allowed}`,
    }));
  const most = new Map<string, string>();
  for (const { what, inUse, allowed } of rows) most.set(what, `${inUse} of ${allowed}`); // in ascending order
  const commits = rows.reduce((sum, row) => sum + row.commits, 0);
  return { violations, figures: { commits_observed: commits, most_in_use: Object.fromEntries(most) } };
}

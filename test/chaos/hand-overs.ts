import type { Client } from 'pg';
import type { LineOf } from './checker/evidence.js';
import { percentiles, type Percentiles } from './checker/percentiles.js';
import type { Injected } from './fault-injector.js';

/** After its session was cut, or the server away, a process hears of nothing until it is connected again. */
const DEAF_MS = 2_000;

interface HandedRow {
  readonly claimId: string;
  /** When the transaction was committed that gave it the slots, in milliseconds since 1970. */
  readonly committedAt: number;
  /** The processes whose slots they were. */
  readonly givers: readonly string[];
  /** Whether those gave them back themselves. */
  readonly byHolders: boolean;
}

/** How soon slots that become free are in other hands. */
export interface HandOvers {
  /** From the commit that frees a slot until whoever waited for it begins, between processes to whom nothing happened. */
  readonly undisturbed: Percentiles;
  /** The same, where one of them was hit meanwhile, or the server. */
  readonly disturbed: Percentiles;
  /** From the moment in which a process is killed until somebody else begins with a slot of it: the lease is in between. */
  readonly afterKills: Percentiles;
}

interface Watched {
  readonly faults: readonly Injected[];
  readonly acquired: readonly LineOf<'acquired'>[];
  /** Since when all processes were up, in milliseconds since 1970: until then they have started all at once, on one machine. */
  readonly since: number;
}

export async function measureHandOvers(client: Client, { faults, acquired, since }: Watched): Promise<HandOvers> {
  const { rows } = await client.query<HandedRow>(
    `select g.claim_id as "claimId", max(extract(epoch from pg_xact_commit_timestamp(g.xmin)))::float8 * 1000 as "committedAt",
            array_agg(e.process_id) as givers, bool_and(e.by_holder) as "byHolders"
       from observer.hand_over g
       join observer.hand_over e on e.transaction = g.transaction and e.is_end
      where not g.is_end
      group by g.claim_id`,
  );
  const begun = new Map(acquired.map((line) => [line.claim, line]));
  const pidOf = new Map(acquired.map(({ process, pid }) => [process, pid]));
  const undisturbed: number[] = [];
  const disturbed: number[] = [];
  const afterKills: number[] = [];
  for (const { claimId, committedAt, givers, byHolders } of rows) {
    const line = begun.get(claimId);
    if (!line || committedAt < since) continue; // whoever it was handed to was killed meanwhile
    const pids = [...givers.map((id) => pidOf.get(id)), line.pid];
    if (byHolders) {
      const times = wasHit(pids, committedAt, line.at, faults) ? disturbed : undisturbed;
      times.push(line.at - committedAt);
    } else {
      const kill = faults.find(({ kind, pid }) => kind === 'kill' && pid !== null && pids.slice(0, -1).includes(pid));
      if (kill) afterKills.push(line.at - kill.from);
    }
  }
  return {
    undisturbed: percentiles(undisturbed),
    disturbed: percentiles(disturbed),
    afterKills: percentiles(afterKills),
  };
}

/** Whether something happened to one of these processes, or to the server, in that time. */
function wasHit(
  pids: readonly (number | undefined)[],
  from: number,
  until: number,
  faults: readonly Injected[],
): boolean {
  return faults.some((fault) => {
    const isConcerned = fault.pid === null || pids.includes(fault.pid);
    const isDeaf = fault.kind === 'cut' || fault.kind === 'restart' || fault.kind === 'crash';
    return isConcerned && fault.from <= until && fault.until + (isDeaf ? DEAF_MS : 0) >= from;
  });
}

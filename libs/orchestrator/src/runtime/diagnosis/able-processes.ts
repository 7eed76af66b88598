import type { LiveProcess } from '../../records/flow-runs/run-situations.repository.js';
import type { ExaminedRun } from './run-check.js';

/** Which processes could take a run: each list holds those of the one before that also fulfil the next condition. */
interface AbleProcesses {
  readonly alive: readonly LiveProcess[];
  readonly withFlow: readonly LiveProcess[];
  readonly ofBuild: readonly LiveProcess[];
  /** That take runs from where it waits. */
  readonly serving: readonly { readonly process: LiveProcess; readonly limit: number }[];
  /** That execute fewer than they take at a time. */
  readonly withRoom: readonly LiveProcess[];
}

export async function ableProcesses({ row, queue, pool, processes }: ExaminedRun): Promise<AbleProcesses> {
  const alive = await processes();
  // One with older code does not say what it has: it counts as able, so that nothing is claimed that may be wrong.
  const withFlow = alive.filter(({ flowIds }) => flowIds?.includes(row.flowId) ?? true);
  const { pinnedBuildId, runCount } = row;
  const isFree = pinnedBuildId === null || runCount === 0;
  const ofBuild = withFlow.filter(({ buildId }) => isFree || buildId === pinnedBuildId);
  const { name = '', type = '' } = pool ?? {};
  const lane = row.workQueueId === null ? null : { pool: name, type, queue: queue?.name ?? '' };
  const serving = ofBuild.flatMap((process) => {
    const limit = limitIn(process, lane);
    return limit === null ? [] : { process, limit };
  });
  const withRoom = serving.filter(({ process, limit }) => process.held < limit).map(({ process }) => process);
  return { alive, withFlow, ofBuild, serving, withRoom };
}

/** How many runs a process takes from somewhere at a time; `null` when it takes none from there. */
function limitIn(
  { serves }: LiveProcess,
  lane: { readonly pool: string; readonly type: string; readonly queue: string } | null,
): number | null {
  if (serves === null) return Infinity;
  if (lane === null) return serves.unqueued ? serves.limit : null;
  // Again, one with older code does not say with which workers it serves a pool: it counts as able.
  const served = serves.pools.find(({ name, type = lane.type }) => name === lane.pool && type === lane.type);
  const isServed = served && (served.queueNames?.includes(lane.queue) ?? true);
  return isServed ? served.limit : null;
}

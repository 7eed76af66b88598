import type { Client } from 'pg';
import { DEATH_RULES, HEARTBEAT_MS } from '../../libs/orchestrator/src/runtime/leases/lease-settings.js';
import type { LineOf } from './checker/evidence.js';
import { percentiles, type Percentiles } from './checker/percentiles.js';
import type { Injected } from './fault-injector.js';
import type { GivenUp } from './fleet.js';

const { leaseMs: LEASE_MS } = DEATH_RULES;
/** A session that is cut is made anew within this time; until then its lock is free. */
const RECONNECTED_MS = 2_000;
/** A process that goes on needs a moment until its heartbeat is there. */
const REVIVAL_MS = HEARTBEAT_MS + 1_000;

/** A run that a process held when it was hit, and that began somewhere else. */
interface Resumption {
  readonly run: string;
  readonly fault: Injected;
  readonly ms: number;
  readonly aroundRestart: boolean;
}

export interface Measurements {
  readonly takeovers: number;
  /** Processes that were fenced although they were alive, and neither stopped past their lease, nor killed, nor ended. */
  readonly takeoversOfLive: readonly FencedProcess[];
  /** From a fault until a run that the process held began somewhere else. */
  readonly killToResume: Percentiles;
  readonly stopToResume: Percentiles;
  /** Of killed and stopped processes, away from restarts of the server. */
  readonly resumptions: readonly Resumption[];
  /** Of processes killed while, or less than a lease before or after, the server was down: nobody is taken for dead then. */
  readonly killToResumeAroundRestart: Percentiles;
}

interface FencedProcess {
  readonly id: string;
  readonly pid: number;
  readonly fencedAt: number;
  /** How old its last heartbeat was by then. */
  readonly silentMs: number;
}

interface Watched {
  readonly faults: readonly Injected[];
  readonly givenUp: readonly GivenUp[];
  readonly began: readonly LineOf<'flow'>[];
  /** When the server was there first, in milliseconds since 1970. */
  readonly serverUpSince: number;
}

export async function measure(
  client: Client,
  { faults, givenUp, began, serverUpSince }: Watched,
): Promise<Measurements> {
  const { rows: fenced } = await client.query<FencedProcess>(
    `select id, pid, (extract(epoch from fenced_at) * 1000)::float8 as "fencedAt",
            round(extract(epoch from fenced_at - heartbeat_at) * 1000)::float8 as "silentMs"
       from nestor.process where fenced_at is not null`,
  );
  const { rows: processes } = await client.query<{ id: string; pid: number }>('select id, pid from nestor.process');
  const pidOf = new Map(processes.map(({ id, pid }) => [id, pid]));
  const all = faults
    .filter(({ kind }) => kind === 'kill' || kind === 'stop')
    .flatMap((fault) => resumptionsAfter(fault, faults, began, pidOf))
    .map((one) => (one.fault.from < serverUpSince + LEASE_MS ? { ...one, aroundRestart: true } : one));
  const resumed = (kind: 'kill' | 'stop', aroundRestart: boolean): Percentiles =>
    percentiles(
      all.filter((one) => one.fault.kind === kind && one.aroundRestart === aroundRestart).map(({ ms }) => ms),
    );
  return {
    takeovers: fenced.length,
    takeoversOfLive: fenced.filter((process) => !hadIt(process, faults) && !hadEnded(process, givenUp)),
    killToResume: resumed('kill', false),
    stopToResume: resumed('stop', false),
    resumptions: all.filter(({ aroundRestart }) => !aroundRestart),
    killToResumeAroundRestart: resumed('kill', true),
  };
}

/** Whether a process was as good as dead when it was fenced. */
function hadIt({ pid, fencedAt }: FencedProcess, faults: readonly Injected[]): boolean {
  return faults.some(
    (fault) =>
      fault.pid === pid &&
      (((fault.kind === 'kill' || fault.kind === 'blackout') && fencedAt >= fault.from) ||
        (fault.kind === 'stop' && fencedAt >= deadFrom(fault, faults) && fencedAt <= fault.until + REVIVAL_MS)),
  );
}

function hadEnded({ pid, fencedAt }: FencedProcess, givenUp: readonly GivenUp[]): boolean {
  return givenUp.some((one) => one.pid === pid && fencedAt >= one.at);
}

/**
 * When a process that is stopped may be taken for dead: its heartbeat may be as old as the pause between two of them when it
 * stops. A lease later, or at once when its session had just been cut, or is while it cannot make a new one.
 */
function deadFrom(stop: Injected, faults: readonly Injected[]): number {
  const lostItsLock = faults.some(
    ({ kind, pid, from }) =>
      (pid === stop.pid ? kind === 'cut' : kind === 'restart' || kind === 'crash') &&
      from > stop.from - RECONNECTED_MS &&
      from < stop.until,
  );
  return stop.from + (lostItsLock ? 0 : LEASE_MS - HEARTBEAT_MS);
}

/** When the runs that a process held began elsewhere, as far as nothing else happened to them in between. */
function resumptionsAfter(
  fault: Injected,
  faults: readonly Injected[],
  began: readonly LineOf<'flow'>[],
  pidOf: ReadonlyMap<string, number>,
): Resumption[] {
  return (fault.held ?? []).flatMap((run) => {
    const next = began.find(
      (line) => line.run === run && line.at >= fault.from && pidOf.get(line.process) !== fault.pid,
    );
    if (!next) return []; // it had ended by then, or somebody ended it
    const between = faults.filter((other) => other !== fault && other.from < next.at && other.until > fault.from);
    if (between.some((other) => other.from > fault.from && other.held?.includes(run))) return []; // its new process was hit
    const aroundRestart = faults.some(
      ({ kind, from, until }) =>
        (kind === 'restart' || kind === 'crash') && from < next.at && fault.from < until + LEASE_MS,
    );
    return [{ run, fault, ms: next.at - fault.from, aroundRestart }];
  });
}

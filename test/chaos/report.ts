import type { ChaosArguments } from './arguments.js';
import type { Percentiles } from './checker/percentiles.js';
import type { Findings, Violation } from './checker/violation.js';
import type { Injected } from './fault-injector.js';
import type { HandOvers } from './hand-overs.js';
import type { Measurements } from './measurements.js';

/** Killed processes: heartbeat and lock tell. Stopped ones: the lease has to run out. */
const KILL_TO_RESUME_MS = 3_000;
const STOP_TO_RESUME_MS = 15_000;
/** A slot that becomes free is in other hands. */
const HAND_OVER_MS = 20;

export interface Report {
  readonly ok: boolean;
  /** What was missed, for people. */
  readonly problems: readonly string[];
  /** The one line of results. */
  readonly line: string;
}

export function reportOf(
  { load, nodes, seed, seconds, blackout, sabotage, untimed }: ChaosArguments,
  {
    findings,
    measurements,
    handOvers,
    faults,
    staleWritesRefused,
  }: {
    readonly findings: Findings;
    readonly measurements: Measurements;
    readonly handOvers: HandOvers | null;
    readonly faults: readonly Injected[];
    readonly staleWritesRefused: number;
  },
): Report {
  const count = (kind: Injected['kind']): number => faults.filter((fault) => fault.kind === kind).length;
  const { violations } = findings;
  const missed = [
    ...takenForDead(measurements),
    ...(load === 'engine' ? slowResumptions(measurements) : []), // elsewhere what is due before goes first, however much that is
    ...(handOvers ? slowHandOvers(handOvers) : []),
  ];
  const line = {
    ok: violations.length === 0 && (untimed || missed.length === 0),
    load,
    nodes,
    seed,
    seconds,
    blackout,
    sabotage,
    kills: count('kill'),
    stops: count('stop'),
    cuts: count('cut'),
    restarts: count('restart'),
    crashes: count('crash'),
    blocks: count('block'),
    acknowledged: findings.acknowledged,
    completed: findings.completed,
    states: findings.states,
    lost: findings.lost,
    executions: findings.executions,
    re_executed_after_completion: findings.reExecuted,
    stale_writes_refused: staleWritesRefused,
    takeovers: measurements.takeovers,
    takeovers_of_live_processes: measurements.takeoversOfLive.length,
    kill_to_resume: ofRuns(measurements.killToResume),
    stop_to_resume: ofRuns(measurements.stopToResume),
    kill_to_resume_around_restart: ofRuns(measurements.killToResumeAroundRestart),
    ...findings.figures,
    ...(handOvers && {
      hand_over: handOvers.undisturbed,
      hand_over_disturbed: handOvers.disturbed,
      hand_over_after_kills: handOvers.afterKills,
    }),
    violations: countsByInvariant(violations),
  };
  const problems = [...violations.map(({ invariant, what }) => `${invariant}: ${what}`), ...missed];
  return { ok: line.ok, problems, line: JSON.stringify(line) };
}

function ofRuns({ n, ...times }: Percentiles): object {
  return { runs: n, ...times };
}

function slowHandOvers({ undisturbed: { p99_ms: p99 } }: HandOvers): string[] {
  if (p99 === null || p99 <= HAND_OVER_MS) return [];
  return [`target: slots were handed over after ${p99} ms (p99), allowed are ${HAND_OVER_MS} ms`];
}

function takenForDead({ takeoversOfLive }: Measurements): string[] {
  return takeoversOfLive.map(
    ({ id, pid, fencedAt, silentMs }) =>
      `target: process ${id} (pid ${pid}) was taken for dead at ${timeOf(fencedAt)}, ${silentMs} ms after its last heartbeat, and lived`,
  );
}

function slowResumptions({ killToResume, stopToResume, resumptions }: Measurements): string[] {
  const late = (kind: 'kill' | 'stop', what: string, p99: number | null, limit: number): string[] => {
    if (p99 === null || p99 <= limit) return [];
    const slow = resumptions.filter(({ fault, ms }) => fault.kind === kind && ms > limit);
    return [
      `target: runs of ${what} processes went on after ${p99} ms (p99), allowed are ${limit} ms`,
      ...slow.map(
        ({ run, fault, ms }) => `  run ${run} after ${ms} ms; pid ${fault.pid} was hit at ${timeOf(fault.from)}`,
      ),
    ];
  };
  return [
    ...late('kill', 'killed', killToResume.p99_ms, KILL_TO_RESUME_MS),
    ...late('stop', 'stopped', stopToResume.p99_ms, STOP_TO_RESUME_MS),
  ];
}

function timeOf(at: number): string {
  return new Date(at).toISOString().slice(11);
}

function countsByInvariant(violations: readonly Violation[]): Record<Violation['invariant'], number> {
  const counts = { I1: 0, I2: 0, I3: 0, I4: 0, I5: 0, I6: 0, I7: 0, I9: 0 };
  for (const { invariant } of violations) counts[invariant] += 1;
  return counts;
}

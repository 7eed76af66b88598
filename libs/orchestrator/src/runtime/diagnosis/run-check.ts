import type { Instant } from '@nestor/core';
import type { FairLinesRepository } from '../../records/fair-lines/fair-lines.repository.js';
import type {
  LiveProcess,
  RunSituation,
  RunSituationsRepository,
} from '../../records/flow-runs/run-situations.repository.js';
import type { NamedProcess, RunReason } from './run-reason.js';

/** What a check may look at. */
export interface ExaminedRun extends RunSituation {
  readonly now: Instant;
  /** See `DatabaseClock.leadUs`. */
  readonly leadUs: number;
  readonly records: RunSituationsRepository;
  readonly lines: FairLinesRepository;
  /** The processes of its application that live. */
  readonly processes: () => Promise<readonly LiveProcess[]>;
  /** What a key of the input of the run keeps; `null` when it keeps nothing there. */
  readonly input: (key: string) => Promise<unknown>;
}

/** Looks for one kind of reason, or for some that exclude each other; independent of all other checks. */
export type RunCheck = (run: ExaminedRun) => readonly RunReason[] | Promise<readonly RunReason[]>;

export function namedProcess({ id, host, pid, buildId }: NamedProcess): NamedProcess {
  return { id, host, pid, buildId };
}

/** `process 42 on worker-3 (build v7)`: for sentences. */
export function describeProcess({ host, pid, buildId }: NamedProcess): string {
  return `process ${pid} on ${host}${buildId === null ? '' : ` (build ${buildId})`}`;
}

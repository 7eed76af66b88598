import { randomUUID } from 'node:crypto';
import { RunLogger, withPretendedRun, type CurrentRun } from '@nestor/orchestrator';

/** What a pretended run is; what is left out has a harmless value. */
export type PretendedRun = Partial<Omit<CurrentRun, 'logger' | 'now' | 'uuid' | 'random'>> & {
  /** What `currentRun().now()` gives. Default: the time. */
  readonly now?: Date;
  /** What `currentRun().random()` gives. Default: 0.5. */
  readonly random?: number;
  /** Told each line that is logged. Default: nobody. */
  readonly log?: (level: number, message: string) => void;
};

/**
 * Runs `work` as if it were part of a run, for unit tests of code that asks `currentRun()`, without a database or an
 * application. Within a real run it changes nothing.
 *
 * @example
 * ```ts
 * const text = await asRun({ flowName: 'report', attempt: 2, now: new Date(0) }, () => report.headline());
 * ```
 */
export function asRun<T>({ now, random = 0.5, log = () => undefined, ...values }: PretendedRun, work: () => T): T {
  const run: CurrentRun = {
    flowRunId: null,
    flowRunName: null,
    flowName: null,
    parameters: null,
    taskRunId: null,
    taskRunName: null,
    tags: [],
    attempt: 1,
    signal: new AbortController().signal,
    ...values,
    logger: new RunLogger(log),
    now: () => (now ? new Date(now) : new Date()),
    uuid: () => randomUUID(),
    random: () => random,
  };
  return withPretendedRun(run, work);
}

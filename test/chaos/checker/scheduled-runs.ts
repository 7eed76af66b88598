import { StateType } from '@nestor/core';
import type { Client } from 'pg';
import type { LoadSettings } from '../loads/load-settings.js';
import { linesOf, type Evidence } from './evidence.js';
import { grouped } from './grouped.js';
import { percentiles } from './percentiles.js';
import type { Checked, Violation } from './violation.js';

interface ScheduleRow {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970, as all times here. */
  readonly created: number;
}

interface MadeRow {
  readonly scheduleId: string;
  readonly runId: string;
  readonly instant: number;
  readonly isDeleted: boolean;
}

/** How long after it was created a schedule may have its first time. */
const FIRST_WITHIN_MS = 10_000;
const PERIOD_MS = 1_000;

/**
 * I5: of every second from the first run of a schedule to its end exactly one run was made, and none was deleted; I1: each has
 * completed, and its body had begun. Which times there are is counted here, not asked of the code that makes the runs; what
 * was made is what triggers noted as it was committed.
 */
export async function checkScheduledRuns(
  client: Client,
  evidence: Evidence,
  { schedules: count, endsAt }: Extract<LoadSettings, { name: 'schedules' }>,
): Promise<Checked> {
  const { rows: schedules } = await client.query<ScheduleRow>(
    `select s.id, d.name || '/' || s.slug as name, extract(epoch from s.created)::float8 * 1000 as created
       from nestor.deployment_schedule s join nestor.deployment d on d.id = s.deployment_id order by d.name, s.slug`,
  );
  const { rows: made } = await client.query<MadeRow>(
    `select schedule_id as "scheduleId", run_id as "runId", is_deleted as "isDeleted",
            extract(epoch from instant)::float8 * 1000 as instant
       from observer.run where schedule_id is not null order by instant`,
  );
  const violations: Violation[] = [];
  const broken = (what: string): unknown => violations.push({ invariant: 'I5', what });
  if (schedules.length !== count) broken(`there are ${schedules.length} schedules instead of ${count}`);
  const bySchedule = grouped(made, ({ scheduleId }) => scheduleId);
  const figures = { instants: 0, missing: 0, duplicates: 0 };
  for (const { id, name, created } of schedules) {
    const own = bySchedule.get(id) ?? [];
    for (const { runId, instant } of own.filter(({ isDeleted }) => isDeleted)) {
      broken(`run ${runId} of ${name} for ${timeOf(instant)} was deleted`);
    }
    const runs = grouped(
      own.filter(({ isDeleted }) => !isDeleted),
      ({ instant }) => instant,
    );
    const [first = Infinity] = runs.keys();
    if (first > created + FIRST_WITHIN_MS)
      broken(`the first run of ${name}, made ${timeOf(created)}, is of ${timeOf(first)}`);
    for (const [instant, { length }] of runs) {
      if (instant % PERIOD_MS !== 0 || instant >= endsAt)
        broken(`${name} has a run for ${timeOf(instant)}, which is no time of it`);
      if (length === 1) continue;
      figures.duplicates += length - 1;
      broken(`${name} had ${length} runs made for ${timeOf(instant)}`);
    }
    for (let instant = Math.ceil(first / PERIOD_MS) * PERIOD_MS; instant < endsAt; instant += PERIOD_MS) {
      figures.instants += 1;
      if (runs.has(instant)) continue;
      figures.missing += 1;
      broken(`${name} has no run for ${timeOf(instant)}`);
    }
  }
  return {
    violations: [...violations, ...notExecuted(made, evidence)],
    figures: {
      schedules: schedules.length,
      ...figures,
      completed: made.filter(({ runId }) => evidence.flowRuns.get(runId)?.stateType === StateType.Completed).length,
      ...punctuality(made, evidence, endsAt),
    },
  };
}

/** Runs that were made, and are not what becomes of a run whose body returns. */
function notExecuted(made: readonly MadeRow[], evidence: Evidence): Violation[] {
  const begun = new Set(linesOf(evidence, 'flow').map(({ run }) => run));
  return made.flatMap(({ runId, instant }): Violation[] => {
    const type = evidence.flowRuns.get(runId)?.stateType ?? 'gone';
    const run = `run ${runId} for ${timeOf(instant)}`;
    if (type !== StateType.Completed) return [{ invariant: 'I1', what: `${run} is ${type} instead of COMPLETED` }];
    return begun.has(runId) ? [] : [{ invariant: 'I1', what: `${run} has completed, and its body never began` }];
  });
}

/** How long after their times runs began, and how long it took after the last of them until all was done. */
function punctuality(made: readonly MadeRow[], { flowStates }: Evidence, endsAt: number) {
  let lastEnd = 0;
  let late = 0;
  const delays: number[] = [];
  for (const { runId, instant } of made) {
    const history = flowStates.get(runId) ?? [];
    const began = history.find(({ type }) => type === StateType.Running);
    if (began) delays.push(began.timestamp / 1_000 - instant);
    if (history.some(({ name }) => name === 'Late')) late += 1;
    lastEnd = Math.max(lastEnd, (history.at(-1)?.timestamp ?? 0) / 1_000);
  }
  return {
    late,
    behind: percentiles(delays),
    drained_after_s: Math.round(Math.max(0, lastEnd - endsAt) / 100) / 10,
  };
}

function timeOf(ms: number): string {
  return Number.isFinite(ms) ? new Date(ms).toISOString().slice(11) : 'never';
}

import { formatInstant, instantOfMs } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import { ExpiredArtifactsRepository } from '../../records/retention/expired-artifacts.repository.js';
import { ExpiredFlowRunsRepository, type SurveyedRuns } from '../../records/retention/expired-flow-runs.repository.js';
import { ExpiredTaskRunsRepository } from '../../records/retention/expired-task-runs.repository.js';
import type { PartitionedTable, RunTable, WeekPartition } from '../../records/retention/partitions.repository.js';
import { PAYLOAD_SETTINGS, type PayloadSettings } from '../payloads/payload-options.js';
import { ExpiredRuns } from './expired-runs.service.js';
import type { RetentionPass, RetentionStep } from './retention-pass.js';
import { Weeks } from './weeks.service.js';

/** Runs that are looked at with one statement. */
const PAGE = 5_000;
/** Of a pass, looking takes no longer than that: the rest is for what goes row by row, as all may have to. */
const LOOK_MS = 20_000;
const BATCH = 5_000;
/** Of those that reach into the next week, so many are removed at a time, with all within them. */
const OVER = 200;

/** Clocks of processes, which give runs their ids, and that of the database are not further apart. */
const SKEW_MS = 86_400_000;
/** Who ended so long before the end of its week has nothing in the next one. */
const LATE_MS = 3_600_000;

/** What is kept with runs by the week; the runs themselves go first, so that none is ever there without what belongs to it. */
const TABLES: readonly PartitionedTable[] = [
  ...(['flow_run', 'task_run', 'flow_run_state', 'task_run_state', 'log'] as const),
  ...(['run_value', 'flow_run_input', 'payload', 'artifact'] as const),
];

/**
 * Drops weeks of runs as a whole: those of which everything may go, and before which nothing is left that may not.
 *
 * A run that stays keeps its week, and those after it, in which some of it may be: what else is in them is removed row by row.
 */
@Injectable()
export class ExpiredWeeks {
  constructor(
    private readonly flowRuns: ExpiredFlowRunsRepository,
    private readonly taskRuns: ExpiredTaskRunsRepository,
    private readonly artifacts: ExpiredArtifactsRepository,
    private readonly runs: ExpiredRuns,
    private readonly transactions: Transactions,
    private readonly weeks: Weeks,
    @Inject(PAYLOAD_SETTINGS) private readonly payloads: PayloadSettings,
  ) {}

  /** Drops weeks all of whose runs may go. */
  async drop(pass: RetentionPass, ageMs: number): Promise<void> {
    const areSomeElsewhere = await this.areSomeElsewhere();
    const groups = await this.expired(pass, ageMs);
    const looking = pass.step(LOOK_MS);
    for (const fromMs of [...groups.keys()].sort((one, other) => one - other)) {
      const group = groups.get(fromMs) ?? [];
      const isDone = areSomeElsewhere
        ? await this.dropEmpty(pass, fromMs, group)
        : (await this.mayGo(pass, looking, fromMs, ageMs)) && (await this.dropGroup(pass, fromMs, ageMs, group));
      if (!isDone) return;
    }
  }

  /** Of a week before whose end no runs are left, drops what is empty: nobody writes there any more. */
  private async dropEmpty(pass: RetentionPass, fromMs: number, group: readonly WeekPartition[]): Promise<boolean> {
    const until = textOf(fromMs + WEEK_MS);
    if (await this.transactions.single((tx) => this.flowRuns.areAnyBefore(tx, until))) return false;
    for (const week of group) if (!(await this.weeks.hasRows(week.name))) await this.weeks.drop(week, pass);
    return true;
  }

  /** The weeks that are old enough, by when they begin. */
  private async expired(pass: RetentionPass, ageMs: number): Promise<Map<number, WeekPartition[]>> {
    const groups = new Map<number, WeekPartition[]>();
    for (const table of TABLES) {
      for (const week of await this.weeks.of(table)) {
        if (!pass.isBefore(week.untilMs + SKEW_MS, ageMs)) break;
        groups.set(week.fromMs, [...(groups.get(week.fromMs) ?? []), week]);
      }
    }
    return groups;
  }

  /** Whether something of the runs of a week may be where nobody would find it: in a store, or among what is of no week. */
  private async areSomeElsewhere(): Promise<boolean> {
    if (this.payloads.store !== null) return true;
    return (await this.weeks.hasRows('flow_run_default')) || (await this.weeks.hasRows('task_run_default'));
  }

  /** Whether all runs up to the end of a week may go. What of them is in the week after is removed. */
  private async mayGo(pass: RetentionPass, looking: RetentionStep, fromMs: number, ageMs: number): Promise<boolean> {
    const untilMs = fromMs + WEEK_MS;
    const until = textOf(untilMs + SKEW_MS);
    const bounds = { until, end: textOf(untilMs), late: textOf(untilMs - LATE_MS) };
    const scan = { app: pass.holder.app, before: pass.before(ageMs), limit: PAGE };
    const surveys: readonly [string, Survey][] = [
      ['flow_run', (tx, after) => this.flowRuns.survey(tx, { ...scan, after }, bounds)],
      ['task_run', (tx, after) => this.taskRuns.survey(tx, { ...scan, after }, until)],
    ];
    for (const [table, survey] of surveys) {
      if (!(await this.mayAllGo(pass, looking, ageMs, cursorOf(table, fromMs), survey))) return false;
    }
    return true;
  }

  /**
   * Looks at the runs of a table, page by page; what reaches into the week after is removed on the way. Where this
   * pass has no more time for it, the next one goes on: a run that has gone on since it was looked at is found when
   * the week is to be dropped.
   */
  private async mayAllGo(
    pass: RetentionPass,
    looking: RetentionStep,
    ageMs: number,
    cursor: string,
    survey: Survey,
  ): Promise<boolean> {
    const removing = pass.step();
    while (await looking.goesOn()) {
      const after = pass.cursors[cursor] ?? null;
      const { seen, last, isWanted, reachingOver } = await this.transactions.single((tx) => survey(tx, after));
      if (isWanted) {
        pass.cursors[cursor] = undefined;
        return false;
      }
      for (let first = 0; first < reachingOver.length; first += OVER) {
        const ids = reachingOver.slice(first, first + OVER);
        if (!(await removing.goesOn()) || !(await this.runs.removeFlowRuns(pass, removing, ids, ageMs))) return false;
      }
      pass.cursors[cursor] = last ?? after ?? undefined;
      if (seen < PAGE) return true;
    }
    return false;
  }

  private async dropGroup(
    pass: RetentionPass,
    fromMs: number,
    ageMs: number,
    group: readonly WeekPartition[],
  ): Promise<boolean> {
    const [from, until] = [textOf(fromMs), textOf(fromMs + WEEK_MS)];
    const areKeysGone = await pass
      .step()
      .exhaust(BATCH, () => this.transactions.single((tx) => this.flowRuns.forgetKeys(tx, from, until, BATCH)));
    if (!areKeysGone) return false;
    await this.transactions.single((tx) => this.flowRuns.forgetOwed(tx, from, until));
    for (const week of group) {
      if (week.table === 'artifact' && (await this.keepsOthers(pass, week))) continue;
      const isGone = isOfRuns(week) ? this.weeks.dropRuns(week, pass, ageMs) : this.weeks.drop(week, pass);
      if (!(await isGone)) return false;
    }
    for (const table of ['flow_run', 'task_run']) pass.cursors[cursorOf(table, fromMs)] = undefined;
    return true;
  }

  /** Whether a week has artifacts of no run, which stay; those of its runs are removed. */
  private async keepsOthers(pass: RetentionPass, { name }: WeekPartition): Promise<boolean> {
    if (!(await this.transactions.single((tx) => this.artifacts.hasOthers(tx, name)))) return false;
    await pass
      .step()
      .exhaust(BATCH, () => this.transactions.single((tx) => this.artifacts.removeOfRuns(tx, name, BATCH)));
    return true;
  }
}

const WEEK_MS = 7 * 86_400_000;

type Survey = (tx: Tx, after: string | null) => Promise<SurveyedRuns>;

/** Under which name it is kept how far a week was looked at. */
const cursorOf = (table: string, fromMs: number): string => `${table} before ${textOf(fromMs + WEEK_MS)}`;

function isOfRuns(week: WeekPartition): week is WeekPartition & { readonly table: RunTable } {
  return week.table === 'flow_run' || week.table === 'task_run';
}

const textOf = (ms: number): string => formatInstant(instantOfMs(ms));

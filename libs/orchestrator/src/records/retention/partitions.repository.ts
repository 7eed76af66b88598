import { instantOfMs, formatInstant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';

/** A table that is partitioned by week. */
export type PartitionedTable =
  | ('flow_run' | 'task_run' | 'flow_run_state' | 'task_run_state' | 'run_value' | 'flow_run_input')
  | ('payload' | 'artifact' | 'log' | 'event' | 'event_receipt');

/** A table of runs, each of which has a history. */
export type RunTable = Extract<PartitionedTable, 'flow_run' | 'task_run'>;

/** The rows of one week. */
export interface WeekPartition {
  readonly table: PartitionedTable;
  /** The name of the partition, which is a table by itself. */
  readonly name: string;
  /** Monday, midnight in Greenwich, in milliseconds since the epoch. */
  readonly fromMs: number;
  /** A week later. */
  readonly untilMs: number;
}

const WEEK_MS = 7 * 86_400_000;
const NAME = /_(\d{4})(\d{2})(\d{2})$/;

/** The weeks in which history is kept. */
@Injectable()
export class PartitionsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** The weeks that a table has a partition for, oldest first. */
  async weeksOf(tx: Tx, table: PartitionedTable): Promise<WeekPartition[]> {
    const rows = await tx.query<{ name: string }>(
      `select c.relname as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = $1::regclass order by 1`,
      [`${this.schema}.${table}`],
    );
    return rows.flatMap(({ name }) => {
      const [, year, month, day] = NAME.exec(name) ?? [];
      if (year === undefined) return []; // the one for the rest
      const fromMs = Date.UTC(Number(year), Number(month) - 1, Number(day));
      return [{ table, name, fromMs, untilMs: fromMs + WEEK_MS }];
    });
  }

  /**
   * Drops a week with all that is in it, unless runs of it have not ended; tells whether it is gone. Needs the table to itself
   * for a moment, and waits for that, holding up others, no longer than `patienceMs`.
   */
  async drop(tx: Tx, { table, fromMs }: WeekPartition, patienceMs: number): Promise<boolean> {
    const [row] = await tx.query<{ gone: boolean }>(`select ${this.schema}.drop_week($1, $2, $3) as gone`, [
      ...[table, formatInstant(instantOfMs(fromMs)), `${patienceMs}ms`],
    ]);
    return row?.gone ?? false;
  }

  /**
   * The statements that drop a week of runs, for one transaction; the last one tells as {@link drop} does. The week stays
   * besides when one of its runs has entered a state since `before`: somebody has set it going again since it was looked at,
   * and it may have ended again. That is asked when the table is locked, so that nobody sets one going afterwards; the locks
   * are those of `drop_week`, in their order. Rides the primary keys of the histories of the weeks since then.
   */
  dropRuns(
    { table, fromMs }: WeekPartition & { readonly table: RunTable },
    before: string,
    patienceMs: number,
  ): ((tx: Tx) => Promise<{ gone?: boolean }[]>)[] {
    const { schema } = this;
    const week = formatInstant(instantOfMs(fromMs));
    return [
      (tx) =>
        tx.query(`select set_config('lock_timeout', $1, true), pg_advisory_xact_lock(hashtextextended($2, 0))`, [
          ...[`${patienceMs}ms`, `${schema}.ensure_partitions`],
        ]),
      (tx) => tx.query(`lock table only ${schema}.${table} in access exclusive mode`),
      (tx) =>
        tx.query(
          `select case
                    when exists (
                      select from ${schema}.${table}_state s
                       where s.timestamp >= $4::timestamptz
                         and s.${table}_id >= ${schema}.uuid_floor($2::timestamptz)
                         and s.${table}_id < ${schema}.uuid_floor($2::timestamptz + interval '7 days')) then false
                    else ${schema}.drop_week($1, $2::timestamptz, $3) end as gone`,
          [table, week, `${patienceMs}ms`, before],
        ),
    ];
  }

  /** Whether a table, or the partition of that name, has any row. */
  async hasRows(tx: Tx, name: string): Promise<boolean> {
    const [row] = await tx.query<{ found: boolean }>(`select exists (select from ${this.schema}.${name}) as found`);
    return row?.found ?? false;
  }
}

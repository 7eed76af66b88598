import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';

/** What a call puts into the list with which a run is called. */
export interface BatchedItem {
  readonly flowRunId: string;
  /** Its place in the list, from 0. */
  readonly index: number;
  /** That of the call. */
  readonly id: string;
  /** Sealed. */
  readonly value: string;
}

/** As long as the longest batch; the order of the keys is that of the list. */
const DIGITS = 5;
const PREFIX = 'nestor:batch:';
const FIRST = keyOf(0);
const LAST = PREFIX + '9'.repeat(DIGITS);

function keyOf(index: number): string {
  return PREFIX + String(index).padStart(DIGITS, '0');
}

function indexOf(key: string): number {
  return Number(key.slice(PREFIX.length));
}

/**
 * The lists with which runs are called that calls are put together into: an input of the run for each item, so that one more
 * costs the same however many there are. All of it rides `flow_run_input_pkey`.
 */
@Injectable()
export class BatchedItemsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Under a lock of the run, which keeps others from taking the same places. */
  async add(tx: Tx, items: readonly BatchedItem[]): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.flow_run_input (flow_run_id, key, id, value)
       select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[]) order by 1, 2`,
      [
        items.map(({ flowRunId }) => flowRunId),
        items.map(({ index }) => keyOf(index)),
        items.map(({ id }) => id),
        items.map(({ value }) => value),
      ],
    );
  }

  /** How many items the list of a run has. */
  async count(tx: Tx, flowRunId: string): Promise<number> {
    const [last] = await tx.query<{ key: string }>(
      `select key from ${this.schema}.flow_run_input
        where flow_run_id = $1 and key between $2 and $3 order by key desc limit 1`,
      [flowRunId, FIRST, LAST],
    );
    return last ? indexOf(last.key) + 1 : 0;
  }

  /** Whether that very item has its place. */
  async has(tx: Tx, { flowRunId, index, id }: BatchedItem): Promise<boolean> {
    const found = await tx.query(
      `select from ${this.schema}.flow_run_input where flow_run_id = $1 and key = $2 and id = $3`,
      [flowRunId, keyOf(index), id],
    );
    return found.length > 0;
  }

  /** The place of what a call has put into the list of a run; `null` when it has not. Looks at all of the list. */
  async placeOf(flowRunId: string, id: string): Promise<number | null> {
    const [row] = await this.dataSource.query<{ key: string }[]>(
      `select key from ${this.schema}.flow_run_input
        where flow_run_id = $1 and key between $2 and $3 and id = $4`,
      [flowRunId, FIRST, LAST, id],
    );
    return row ? indexOf(row.key) : null;
  }

  /** The list of a run. */
  async list(flowRunId: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ value: string }[]>(
      `select value from ${this.schema}.flow_run_input
        where flow_run_id = $1 and key between $2 and $3 order by key`,
      [flowRunId, FIRST, LAST],
    );
    return rows.map(({ value }) => value);
  }
}

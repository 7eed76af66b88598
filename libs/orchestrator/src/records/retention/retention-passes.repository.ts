import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { RetentionCursors, RetentionPassEntity } from './retention-pass.entity.js';

/** Which process removes what is old, of which application. */
export interface PassHolder {
  readonly app: string;
  readonly processId: string;
}

/** Whose turn it is to remove what is old. All of it rides the primary key. */
@Injectable()
export class RetentionPassesRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Begins the pass that is due, unless somebody else is at it; gives what the one before left. */
  async begin(
    tx: Tx,
    { app, processId }: PassHolder,
    holdMs: number,
  ): Promise<Pick<RetentionPassEntity, 'cursors' | 'removing'> | null> {
    const rows = await tx.query<{ cursors: RetentionCursors; removing: string[] }>(
      `insert into ${this.schema}.retention_pass as p (app, next_at, process_id, held_until)
       values ($1, clock_timestamp(), $2, clock_timestamp() + $3 * interval '1 millisecond')
       on conflict (app) do update set process_id = excluded.process_id, held_until = excluded.held_until
        where p.next_at <= clock_timestamp() and (p.held_until is null or p.held_until < clock_timestamp())
       returning cursors, removing::text[] as removing`,
      [app, processId, holdMs],
    );
    return rows[0] ?? null;
  }

  /** Goes on with the pass; `false` when somebody else has taken it over. */
  async hold(tx: Tx, { app, processId }: PassHolder, holdMs: number): Promise<boolean> {
    const rows = await tx.query(
      `update ${this.schema}.retention_pass set held_until = clock_timestamp() + $3 * interval '1 millisecond'
        where app = $1 and process_id = $2 returning 1`,
      [app, processId, holdMs],
    );
    return rows.length > 0;
  }

  /** Ends the pass. */
  async end(tx: Tx, { app, processId }: PassHolder, nextInMs: number, cursors: RetentionCursors): Promise<void> {
    await tx.query(
      `update ${this.schema}.retention_pass
          set process_id = null, held_until = null, cursors = $4, next_at = clock_timestamp() + $3 * interval '1 millisecond'
        where app = $1 and process_id = $2`,
      [app, processId, nextInMs, JSON.stringify(cursors)],
    );
  }

  /** Of these flow runs, which were removed, nothing is left, whoever has seen to that; of others something may be. */
  async noteAllGone(tx: Tx, app: string, flowRunIds: readonly string[]): Promise<void> {
    await tx.query(
      `update ${this.schema}.retention_pass
          set removing = array(select id from unnest(removing) as id where id <> all($2::uuid[]))
        where app = $1`,
      [app, flowRunIds],
    );
  }

  /** In how many milliseconds somebody may begin the next one; `null` when there was none yet. */
  async nextInMs(tx: Tx, app: string): Promise<number | null> {
    const [row] = await tx.query<{ ms: number }>(
      `select (extract(epoch from greatest(next_at, held_until) - clock_timestamp()) * 1000)::float8 as ms
         from ${this.schema}.retention_pass where app = $1`,
      [app],
    );
    return row?.ms ?? null;
  }
}

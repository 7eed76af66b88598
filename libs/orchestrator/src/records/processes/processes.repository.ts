import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { channelOf } from '../../persistence/channels.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { LoopBehind, ServedLanes } from './process.entity.js';
import { isDead, type DeathRules } from './process-death.js';

/** What a process says of itself when it joins. */
interface NewProcess {
  readonly id: string;
  readonly app: string;
  readonly host: string;
  readonly pid: number;
  readonly buildId: string | null;
  /** Left out while it does not know. */
  readonly flowIds?: readonly string[];
  readonly serves?: ServedLanes;
}

type DescribedProcess = Required<Omit<NewProcess, 'app' | 'host' | 'pid'>>;

/** The processes that execute runs. Their heartbeats are sent by a thread of theirs: see `lease-keeper.thread.ts`. */
@Injectable()
export class ProcessesRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** Adds a process, alive as of now. Adding it a second time (after a commit nobody heard of) changes nothing. */
  async join(tx: Tx, { id, app, host, pid, buildId, flowIds, serves }: NewProcess): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.process (id, app, host, pid, build_id, flow_ids, serves)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
      [id, app, host, pid, buildId, flowIds ?? null, serves ? JSON.stringify(serves) : null],
    );
  }

  /** Keeps what a process can execute, once it knows. */
  async describe(tx: Tx, { id, buildId, flowIds, serves }: DescribedProcess): Promise<void> {
    await tx.query(`update ${this.schema}.process set build_id = $2, flow_ids = $3, serves = $4 where id = $1`, [
      ...[id, buildId, flowIds, JSON.stringify(serves)],
    ]);
  }

  /** Keeps which loops of a process are behind. */
  async noteLoopsBehind(tx: Tx, id: string, loops: readonly LoopBehind[]): Promise<void> {
    await tx.query(`update ${this.schema}.process set loops_behind = $2::jsonb where id = $1`, [
      id,
      loops.length === 0 ? null : JSON.stringify(loops),
    ]);
  }

  /** Removes a process that executes nothing any more. */
  async leave(tx: Tx, id: string): Promise<void> {
    await tx.query(`delete from ${this.schema}.process where id = $1`, [id]);
  }

  /**
   * Fences those of the processes that are dead by now: they write nothing more, whatever they still believe. The row lock
   * waits for flushes that are under way, and the condition is evaluated again after that.
   *
   * All processes are told `fenced` at the commit: whoever fences may die before it has given the runs to others.
   *
   * @returns the ids of the processes that this call fenced.
   */
  async fence(tx: Tx, ids: readonly string[], by: string, { leaseMs, hintMs }: DeathRules): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(
      `with dead as materialized (
         select p.id from ${this.schema}.process p
          where p.id = any($1::uuid[]) and p.fenced_at is null
            and ${isDead(this.schema, { lease: '$3', hint: '$4' })}
          order by p.id
            for update
       )
       update ${this.schema}.process p set fenced_at = clock_timestamp(), fenced_by = $2
         from dead where p.id = dead.id
       returning p.id, pg_notify($5, 'fenced')`,
      [ids, by, leaseMs, hintMs, channelOf(this.schema)],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Fences the process that holds a run under an epoch, because somebody saw it end. The row lock waits for what of
   * it is still being written.
   */
  async fenceHolder(tx: Tx, flowRunId: string, epoch: number, by: string): Promise<void> {
    await tx.query(
      `with ended as materialized (
         select p.id
           from ${this.schema}.flow_run r
           join ${this.schema}.process p on p.id = r.process_id
          where r.id = $1 and r.lease_epoch = $2 and p.id <> $3::uuid and p.fenced_at is null
            for update of p
       )
       update ${this.schema}.process p set fenced_at = clock_timestamp(), fenced_by = $3::uuid
         from ended where p.id = ended.id`,
      [flowRunId, epoch, by],
    );
  }

  /** Forgets fenced processes of an application that no run names any more. */
  async forgetFenced(tx: Tx, app: string): Promise<void> {
    await tx.query(
      `delete from ${this.schema}.process p
        where p.app = $1 and p.fenced_at < clock_timestamp() - interval '1 hour'
          and not exists (select from ${this.schema}.flow_run r where r.process_id = p.id)
          and not exists (select from ${this.schema}.task_run t where t.process_id = p.id)`,
      [app],
    );
  }
}

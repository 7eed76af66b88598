import { StateType, type Instant } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import type { FlowRunEntity } from './flow-run.entity.js';

/** The run that has a key, as it is while its row is locked. */
export interface SharedRun {
  readonly id: string;
  readonly name: string;
  readonly parameters: string;
  readonly stateType: StateType | null;
  /** It has not begun and nobody has taken it: what it is called with may be changed. */
  readonly isWaiting: boolean;
  readonly created: Instant;
}

type LockedRow = Omit<SharedRun, 'isWaiting'> & Pick<FlowRunEntity, 'processId' | 'startTime'>;

/** Whether a run has not begun and nobody has taken it. */
export function isUntaken({
  stateType,
  processId,
  startTime,
}: Pick<FlowRunEntity, 'stateType' | 'processId' | 'startTime'>): boolean {
  return stateType === StateType.Scheduled && processId === null && startTime === null;
}

/** Runs that several callers share: the key under which they find one, and what that is called with while it waits. */
@Injectable()
export class SharedRunsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /**
   * Takes a key of a flow, and waits for whoever has it at this moment. It is locked until the transaction ends.
   *
   * @returns the id of the run that has the key: `flowRunId` where none had it.
   */
  async lockKey(tx: Tx, flowId: string, key: string, flowRunId: string): Promise<string> {
    const [row] = await tx.query<{ id: string }>(
      `insert into ${this.schema}.run_key as k (flow_id, key, flow_run_id) values ($1, $2, $3)
       on conflict (flow_id, key) do update set flow_run_id = k.flow_run_id
       returning flow_run_id::text as id`,
      [flowId, key, flowRunId],
    );
    return row?.id ?? flowRunId;
  }

  /** Gives a key, which this transaction has locked, to another run. */
  async giveKey(tx: Tx, flowId: string, key: string, flowRunId: string): Promise<void> {
    await tx.query(`update ${this.schema}.run_key set flow_run_id = $3 where flow_id = $1 and key = $2`, [
      flowId,
      key,
      flowRunId,
    ]);
  }

  /** Notes which runs have these keys of a flow; a key that is there already stays as it is. */
  async keepKeys(
    tx: Tx,
    flowId: string,
    keys: readonly { readonly key: string; readonly flowRunId: string }[],
  ): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.run_key (flow_id, key, flow_run_id)
       select $1::uuid, key, id from unnest($2::text[], $3::uuid[]) as k(key, id) order by key on conflict do nothing`,
      [flowId, keys.map(({ key }) => key), keys.map(({ flowRunId }) => flowRunId)],
    );
  }

  /**
   * The run, locked until the transaction ends, so that nobody takes it meanwhile: who takes runs skips it. `null` when there is
   * none of that id. Waits for whoever moves it on at this moment.
   */
  async lock(tx: Tx, flowRunId: string): Promise<SharedRun | null> {
    const [row] = await tx.query<LockedRow>(
      `select id::text as id, name, parameters, state_type as "stateType", process_id::text as "processId",
              start_time as "startTime", created
         from ${this.schema}.flow_run where id = $1 for no key update`,
      [flowRunId],
    );
    if (!row) return null;
    const { id, name, parameters, stateType, created } = row;
    return { id, name, parameters, stateType, created, isWaiting: isUntaken(row) };
  }

  /** Changes what a run that waits is called with. */
  async revise(tx: Tx, flowRunId: string, parameters: string): Promise<void> {
    await tx.query(`update ${this.schema}.flow_run set parameters = $2::json, updated = now() where id = $1`, [
      flowRunId,
      parameters,
    ]);
  }
}

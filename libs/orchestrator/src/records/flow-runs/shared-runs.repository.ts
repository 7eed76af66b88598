import type { Instant, StateType } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';

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

  /**
   * The run, locked until the transaction ends, so that nobody takes it meanwhile: who takes runs skips it. `null` when there is
   * none of that id. Waits for whoever moves it on at this moment.
   */
  async lock(tx: Tx, flowRunId: string): Promise<SharedRun | null> {
    const [row] = await tx.query<SharedRun>(
      `select id::text as id, name, parameters, state_type as "stateType", created,
              state_type = 'SCHEDULED' and process_id is null and start_time is null as "isWaiting"
         from ${this.schema}.flow_run where id = $1 for no key update`,
      [flowRunId],
    );
    return row ?? null;
  }

  /** Changes what a run that waits is called with. */
  async revise(tx: Tx, flowRunId: string, parameters: string): Promise<void> {
    await tx.query(`update ${this.schema}.flow_run set parameters = $2::json, updated = now() where id = $1`, [
      flowRunId,
      parameters,
    ]);
  }
}

import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { FENCE_WIDTH, fenceParameters, leaseCheck, type HeldClaims, type WriteFence } from '../lease-check.js';
import { RowSet, type RowColumn } from '../row-set.js';
import { RunValueEntity } from './run-value.entity.js';

/** A value that a flow run drew, on behalf of a claim. */
export interface NewRunValue {
  readonly flowRunId: string;
  readonly key: string;
  /** Encoded. */
  readonly value: string;
  /** The number of the claim: see `WriteFence`. */
  claim: number;
}

/** Under this key a fork keeps the id of the run at its origin, from which ids and random numbers are drawn. */
export const SEED_KEY = 'seed';

@Injectable()
export class RunValuesRepository {
  private readonly values: Repository<RunValueEntity>;
  private readonly keepStatement: PreparedStatement;

  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
    this.values = dataSource.getRepository(RunValueEntity);
    this.keepStatement = preparedStatement('keep_run_values', keepRunValues(this.schema));
  }

  /** Keeps values, where their claims hold; one that is kept already stays as it is. Gives the claims that hold. */
  async keep(tx: Tx, fence: WriteFence, values: readonly NewRunValue[]): Promise<HeldClaims> {
    const parameters = [...fenceParameters(fence), ...claimedRows.parameters(values)];
    const [held] = await tx.query<{ leases: HeldClaims }>(this.keepStatement, parameters);
    return held?.leases ?? null;
  }

  /**
   * Gives a fork what the other run drew, and what that is drawn from: the same ids and numbers come out of it, so that calls
   * they were inputs of are recognised.
   */
  async copy(tx: Tx, fromFlowRunId: string, toFlowRunId: string): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.run_value (flow_run_id, key, value)
       select $2::uuid, key, value from ${this.schema}.run_value where flow_run_id = $1::uuid and key <> '${SEED_KEY}'
       union all
       select $2::uuid, '${SEED_KEY}', coalesce(
         (select value from ${this.schema}.run_value where flow_run_id = $1::uuid and key = '${SEED_KEY}'),
         to_json($1::uuid))
       on conflict do nothing`,
      [fromFlowRunId, toFlowRunId],
    );
  }

  /** The values a flow run drew, by key. */
  async byKey(flowRunId: string): Promise<ReadonlyMap<string, string>> {
    const rows = await this.values.findBy({ flowRunId });
    return new Map(rows.map(({ key, value }) => [key, value]));
  }
}

const columns: readonly RowColumn<NewRunValue>[] = [
  ['flow_run_id', 'uuid', ({ flowRunId }) => flowRunId],
  ['key', 'text', ({ key }) => key],
  ['value', 'json', ({ value }) => value],
];
const rows = new RowSet<NewRunValue>(columns);
const claimedRows = new RowSet<NewRunValue>([['claim', 'integer', ({ claim }) => claim], ...columns]);

const keepRunValues = (schema: string): string => `
  with ${leaseCheck(schema)}, kept as (
    insert into ${schema}.run_value (${rows.names})
    select ${rows.names} from held cross join ${claimedRows.source(FENCE_WIDTH + 1, 'v')} where held.leases[v.claim]
    on conflict do nothing
  )
  select leases from held`;

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

/** Values by when they were drawn. */
interface LaterValues {
  /** Of these keys alone, as patterns of `like`. */
  readonly patterns: readonly string[];
  readonly thanTaskRunId: string;
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
   *
   * @param later which values are left out that were drawn after a task run had been called.
   */
  async copy(tx: Tx, fromFlowRunId: string, toFlowRunId: string, later: LaterValues | null): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.run_value (flow_run_id, key, value)
       select $2::uuid, key, value
         from ${this.schema}.run_value v
        where flow_run_id = $1::uuid and key <> '${SEED_KEY}' and not (${isLater(this.schema, '$3', '$4')})
       union all
       select $2::uuid, '${SEED_KEY}', coalesce(
         (select value from ${this.schema}.run_value where flow_run_id = $1::uuid and key = '${SEED_KEY}'),
         to_json($1::uuid))
       on conflict do nothing`,
      [fromFlowRunId, toFlowRunId, later?.patterns ?? [], later?.thanTaskRunId ?? null],
    );
  }

  /** Forgets values that a run drew after a task run had been called. */
  async forget(tx: Tx, flowRunId: string, { patterns, thanTaskRunId }: LaterValues): Promise<void> {
    await tx.query(
      `delete from ${this.schema}.run_value v where flow_run_id = $1::uuid and ${isLater(this.schema, '$2', '$3')}`,
      [flowRunId, patterns, thanTaskRunId],
    );
  }

  /** The values a flow run drew, by key. */
  async byKey(flowRunId: string): Promise<ReadonlyMap<string, string>> {
    const rows = await this.values.findBy({ flowRunId });
    return new Map(rows.map(({ key, value }) => [key, value]));
  }
}

/** Whether a value `v` has such a key, and was written after the row of a task run: that is written when it is called. */
const isLater = (schema: string, patterns: string, taskRunId: string): string => `
  v.key like any(${patterns}::text[])
  and coalesce(v.created > (select t.created from ${schema}.task_run t where t.id = ${taskRunId}::uuid), false)`;

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

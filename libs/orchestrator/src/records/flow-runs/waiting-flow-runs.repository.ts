import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { newsOfRuns } from '../fair-lines/fair-line-statements.js';
import { unnested } from '../row-set.js';
import { keyedRows, plainRows, type WaitingFlowRun, type WaitingRows } from './waiting-flow-run-rows.js';

interface Asking {
  query<Row>(statement: string, parameters: unknown[]): Promise<Row[]>;
}

/** What is to be asked, for one of the ways in which runs are created. */
interface Creation {
  readonly statement: PreparedStatement;
  readonly parameters: readonly (string | number | boolean | null)[];
}

/** Flow runs that are created to wait for their time, or for whoever takes them. */
@Injectable()
export class WaitingFlowRunsRepository {
  private readonly loneStatement: PreparedStatement;
  private readonly plainStatement: PreparedStatement;
  private readonly keyedStatement: PreparedStatement;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
    this.loneStatement = preparedStatement('create_lone_waiting_run', createLoneWaitingRun(this.schema));
    this.plainStatement = preparedStatement('create_waiting_runs', createWaitingRuns(this.schema));
    this.keyedStatement = preparedStatement('create_keyed_runs', createKeyedRuns(this.schema));
  }

  /**
   * What {@link create} asks, for a transaction that is not ours as well. Of runs without keys nothing is
   * asked that they do not need.
   */
  creation(runs: readonly WaitingFlowRun[]): Creation {
    const [first, second] = runs;
    if (first && !second && first.origin.idempotencyKey === null && !first.origin.fairShare) {
      return { statement: this.loneStatement, parameters: plainRows.rows.singles(runs) };
    }
    return runs.some(({ origin }) => origin.fairShare)
      ? { statement: this.keyedStatement, parameters: keyedRows.rows.parameters(runs) }
      : { statement: this.plainStatement, parameters: plainRows.rows.parameters(runs) };
  }

  /**
   * Creates runs in their first states. Doing it twice changes nothing.
   *
   * @returns the ids of those that are there; the others have a key that a run of the flow has already.
   */
  async create(tx: Tx, runs: readonly WaitingFlowRun[]): Promise<ReadonlySet<string>> {
    const { statement, parameters } = this.creation(runs);
    const rows = await tx.query<{ id: string }>(statement, parameters);
    return new Set(rows.map(({ id }) => id));
  }

  /**
   * The runs of a flow that have these keys, by key. Rides `run_key_pkey`.
   *
   * @param within the transaction that asks: it sees what it has made itself.
   */
  async findByKeys(
    flowId: string,
    keys: readonly string[],
    within: Asking = this.dataSource,
  ): Promise<ReadonlyMap<string, { readonly id: string; readonly name: string }>> {
    const rows = await within.query<{ key: string; id: string; name: string }>(
      `select k.key, k.flow_run_id::text as id, coalesce(r.name, '') as name
         from ${this.schema}.run_key k
         left join ${this.schema}.flow_run r on r.id = k.flow_run_id
        where k.flow_id = $1 and k.key = any($2::text[])`,
      [flowId, keys],
    );
    return new Map(rows.map(({ key, id, name }) => [key, { id, name }]));
  }
}

/**
 * New runs, their keys and their first states, all in one statement, so that it may be part of somebody else's transaction. Of
 * runs with the same key one is created. Gives the ids of those that are there after it, also by an earlier statement of which
 * nobody heard.
 *
 * Locks nothing but its own rows, and those in the order of their keys. Waits for transactions that create a run with the same
 * key and are not decided yet; for none otherwise.
 */
const createWaitingRuns = (schema: string): string => creationOf(schema, plainRows, '');

/**
 * The same of one run that has no key at all, which is what somebody waits for in an idle system:
 * without arrays it is faster.
 */
const createLoneWaitingRun = (schema: string): string => `
  with asked as materialized (
    select n.* from ${plainRows.rows.values(1, 'n', 1)} where ${flowRunOf(schema, 'n.id')} is null
  ), created as (
    insert into ${schema}.flow_run (${plainRows.runColumns}) select ${plainRows.runColumns} from asked
  ), history as (
    insert into ${schema}.flow_run_state (flow_run_id, timestamp, id, type, name, message, state_details)
    select id, state_timestamp, state_id, state_type, state_name, state_message, state_details from asked
  )
  select $1::uuid::text as id`;

/** The same of runs some of which have keys: their lines are told of. */
const createKeyedRuns = (schema: string): string =>
  creationOf(schema, keyedRows, `, news as (${newsOfRuns(schema, 'fresh')})`);

const creationOf = (schema: string, { rows, runColumns }: WaitingRows, more: string): string => `
  with asked as materialized (
    select n.*
      from ${rows.source(1, 'n')}
     where ${flowRunOf(schema, 'n.id')} is null
  ), keyed as (
    insert into ${schema}.run_key (flow_id, key, flow_run_id)
    select flow_id, idempotency_key, id from asked where idempotency_key is not null order by flow_id, idempotency_key
    on conflict do nothing
    returning flow_run_id
  ), fresh as materialized (
    select a.* from asked a
     where a.idempotency_key is null or a.id in (select flow_run_id from keyed)
  ), created as (
    insert into ${schema}.flow_run (${runColumns})
    select ${runColumns} from fresh order by id
    returning id
  ), history as (
    insert into ${schema}.flow_run_state (flow_run_id, timestamp, id, type, name, message, state_details)
    select id, state_timestamp, state_id, state_type, state_name, state_message, state_details from fresh order by id
  )${more}
  select id::text from created
  union all
  select n.id::text from (${unnested(1, ['uuid'], 'id')}) as n where ${flowRunOf(schema, 'n.id')} is not null`;

/**
 * The id again where there is such a run. By a look at the index for each, whatever the plan was made for: one that was made
 * while the table was empty, and is kept, would read all of it.
 */
const flowRunOf = (schema: string, id: string): string =>
  `(select r.id from ${schema}.flow_run r where r.id = ${id} limit 1)`;

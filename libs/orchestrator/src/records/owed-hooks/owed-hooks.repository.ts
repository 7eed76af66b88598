import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { RowSet } from '../row-set.js';
import type { OwedHooksEntity } from './owed-hooks.entity.js';

/** Hooks that are to be called once their state is written. */
export type NewOwedHooks = Pick<
  OwedHooksEntity,
  'stateId' | 'runId' | 'app' | 'flowId' | 'taskKey' | 'arguments' | 'processId'
>;

/** Hooks that this process is to call. */
export type ClaimedHooks = Pick<OwedHooksEntity, 'stateId' | 'runId' | 'flowId' | 'taskKey' | 'arguments'>;

interface HooksClaim {
  readonly processId: string;
  readonly app: string;
  readonly flowIds: readonly string[];
  readonly taskKeys: readonly string[];
  /** The states of those that this process is calling already. */
  readonly underWay: readonly string[];
  readonly limit: number;
}

/** What states owe: see {@link OwedHooksEntity}. Small, because a row stands only while its hooks are called. */
@Injectable()
export class OwedHooksRepository {
  private readonly noteStatement: PreparedStatement;
  private readonly claimStatement: PreparedStatement;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
    this.noteStatement = preparedStatement('note_owed_hooks', noteOwedHooks(this.schema));
    this.claimStatement = preparedStatement('claim_owed_hooks', claimOwedHooks(this.schema));
  }

  /** Notes what the states owe that were written by an earlier statement of the transaction; doing it twice changes nothing. */
  async note(tx: Tx, owed: readonly NewOwedHooks[]): Promise<void> {
    await tx.query(this.noteStatement, columns.parameters(owed));
  }

  /** Takes hooks of these flows and tasks that nobody calls, oldest first. None when the process is fenced. */
  claim(tx: Tx, claim: HooksClaim): Promise<ClaimedHooks[]> {
    return tx.query<ClaimedHooks>(this.claimStatement, claimParameters(claim));
  }

  /** Whether there are any to {@link claim}. */
  lookForAny(claim: HooksClaim): Look {
    return { text: lookForOwedHooks(this.schema), parameters: claimParameters(claim), finds: 'rows' };
  }

  /** Forgets hooks that have been called, or that there is no reason to call any more. */
  async settle(tx: Tx, stateIds: readonly string[]): Promise<void> {
    await tx.query(`delete from ${this.schema}.owed_hooks where state_id = any($1::uuid[])`, [stateIds]);
  }
}

const columns = new RowSet<NewOwedHooks>([
  ['state_id', 'uuid', ({ stateId }) => stateId],
  ['run_id', 'uuid', ({ runId }) => runId],
  ['app', 'text', ({ app }) => app],
  ['flow_id', 'uuid', ({ flowId }) => flowId],
  ['task_key', 'text', ({ taskKey }) => taskKey],
  ['arguments', 'json', (owed) => owed.arguments],
  ['process_id', 'uuid', ({ processId }) => processId],
]);

function claimParameters({ processId, app, flowIds, taskKeys, underWay, limit }: HooksClaim): unknown[] {
  return [processId, app, flowIds, taskKeys, underWay, limit];
}

/** A state that was refused owes nothing: its run is not in it. Rides the primary keys of the runs, one partition each. */
const noteOwedHooks = (schema: string): string => `
  insert into ${schema}.owed_hooks (${columns.names})
  select ${columns.names}
    from ${columns.source(1, 'o')}
   where case when o.task_key is null
              then exists (select from ${schema}.flow_run r where r.id = o.run_id and r.state_id = o.state_id)
              else exists (select from ${schema}.task_run t where t.id = o.run_id and t.state_id = o.state_id) end
   order by o.state_id
  on conflict do nothing`;

/** Hooks `o` that `$1` may claim: see {@link claimOwedHooks}. */
const claimable = (schema: string): string => `
       o.app = $2 and (o.flow_id = any($3::uuid[]) or o.task_key = any($4::text[]))
       and (o.process_id is null
            or o.process_id = $1::uuid and o.claimed_at is not null
            or not exists (select from ${schema}.process p where p.id = o.process_id and p.fenced_at is null))
       and o.state_id <> all($5::uuid[])`;

/** Hooks that {@link claimOwedHooks} would take. */
const lookForOwedHooks = (schema: string): string => `
  select o.state_id from ${schema}.owed_hooks o where ${claimable(schema)} order by o.state_id limit $6`;

/**
 * Takes hooks that were noted for whoever comes, or whose process is fenced or gone; skips those that somebody else is taking.
 * Those that this process has claimed and does not call come once more: the answer to a claim got lost.
 */
const claimOwedHooks = (schema: string): string => `
  with me as materialized (
    select id from ${schema}.process where id = $1::uuid and fenced_at is null for key share
  ), owed as materialized (
    select o.state_id
      from ${schema}.owed_hooks o
     where ${claimable(schema)} and exists (select from me)
     order by o.state_id
     limit $6
       for no key update skip locked
  ), claimed as (
    update ${schema}.owed_hooks o set process_id = $1::uuid, claimed_at = clock_timestamp()
      from owed where o.state_id = owed.state_id
    returning o.state_id, o.run_id, o.flow_id, o.task_key, o.arguments
  )
  select state_id as "stateId", run_id as "runId", flow_id as "flowId", task_key as "taskKey", arguments
    from claimed order by state_id`;

import { Inject, Injectable } from '@nestjs/common';
import { DataSource, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import type { Tx } from '../../persistence/transactions.js';
import { FlowRunInputEntity } from './flow-run-input.entity.js';

/** An input of a run, as it is written. */
export type NewFlowRunInput = Pick<FlowRunInputEntity, 'flowRunId' | 'key' | 'id' | 'value' | 'sender'>;

/** The answer to a pause: it is written together with the state that it leads to, or not at all. */
export interface PauseAnswer extends NewFlowRunInput {
  /** The state that the run enters by it. */
  readonly stateId: string;
}

@Injectable()
export class FlowRunInputsRepository {
  private readonly inputs: Repository<FlowRunInputEntity>;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.inputs = dataSource.getRepository(FlowRunInputEntity);
    this.schema = schemaOf(dataSource);
  }

  /** Keeps an input. One of that key that is there already stays as it is. */
  async add(tx: Tx, { flowRunId, key, id, value, sender }: NewFlowRunInput): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.flow_run_input (flow_run_id, key, id, value, sender)
       values ($1, $2, $3, $4, $5) on conflict do nothing`,
      [flowRunId, key, id, value, sender],
    );
  }

  /** Keeps inputs, in the place of those that had their keys. */
  async replace(tx: Tx, inputs: readonly NewFlowRunInput[]): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.flow_run_input (flow_run_id, key, id, value, sender)
       select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[]) order by 1, 2
       on conflict (flow_run_id, key) do update
          set id = excluded.id, value = excluded.value, sender = excluded.sender, updated = clock_timestamp()`,
      columnsOf(inputs),
    );
  }

  /** Keeps answers of runs that have entered the states which these lead to, in the same transaction. */
  async answer(tx: Tx, answers: readonly PauseAnswer[]): Promise<void> {
    await tx.query(
      `insert into ${this.schema}.flow_run_input (flow_run_id, key, id, value, sender)
       select a.flow_run_id, a.key, a.id, a.value, a.sender
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::uuid[])
                as a(flow_run_id, key, id, value, sender, state_id)
         join ${this.schema}.flow_run r on r.id = a.flow_run_id and r.state_id = a.state_id
        order by 1, 2
       on conflict (flow_run_id, key) do update
          set id = excluded.id, value = excluded.value, sender = excluded.sender, updated = clock_timestamp()`,
      [...columnsOf(answers), answers.map(({ stateId }) => stateId)],
    );
  }

  /** The value under a key; `null` when there is none. */
  async valueAt(flowRunId: string, key: string): Promise<string | null> {
    return (await this.inputs.findOneBy({ flowRunId, key }))?.value ?? null;
  }

  /**
   * Inputs of a run whose keys begin with `prefix`, in the order in which they came. Rides `flow_run_input_pkey`.
   *
   * @param excluded ids of those to leave out.
   */
  list(
    flowRunId: string,
    { prefix, excluded = [], limit }: { prefix: string; excluded?: readonly string[]; limit: number },
  ): Promise<FlowRunInputEntity[]> {
    return this.inputs
      .createQueryBuilder('i')
      .where('i.flowRunId = :flowRunId and starts_with(i.key, :prefix) and i.id <> all(:excluded)', {
        ...{ flowRunId, prefix, excluded },
      })
      .orderBy({ 'i.created': 'ASC', 'i.id': 'ASC' })
      .take(limit)
      .getMany();
  }
}

function columnsOf(inputs: readonly NewFlowRunInput[]): unknown[][] {
  return [
    inputs.map(({ flowRunId }) => flowRunId),
    inputs.map(({ key }) => key),
    inputs.map(({ id }) => id),
    inputs.map(({ value }) => value),
    inputs.map(({ sender }) => sender),
  ];
}

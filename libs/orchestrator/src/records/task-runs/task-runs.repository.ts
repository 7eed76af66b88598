import { Inject, Injectable } from '@nestjs/common';
import type { State, StateType } from '@nestor/core';
import { DataSource, MoreThan, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { columnsOf } from '../columns-of.js';
import { stateOfRow } from '../state-columns.js';
import { instantParameter, STATE_COLUMNS, stateColumns, unnestStates, type NewState } from '../stored-state.js';
import type { TaskRunWrite } from './task-run-rows.js';
import { TaskRunStateEntity } from './task-run-state.entity.js';
import { TaskRunEntity } from './task-run.entity.js';

@Injectable()
export class TaskRunsRepository {
  private readonly runs: Repository<TaskRunEntity>;
  private readonly states: Repository<TaskRunStateEntity>;
  private readonly saveStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.runs = dataSource.getRepository(TaskRunEntity);
    this.states = dataSource.getRepository(TaskRunStateEntity);
    const schema = schemaOf(dataSource);
    this.saveStatement = preparedStatement('save_task_runs', saveTaskRuns(schema));
  }

  /** Writes runs as they stand, new or not, and appends their states. Doing it twice changes nothing. */
  async save(tx: Tx, writes: readonly TaskRunWrite[], states: readonly NewState[]): Promise<void> {
    await tx.query(this.saveStatement, [...columnsOf(writes, SAVE_COLUMNS), ...columnsOf(states, stateColumns)]);
  }

  find(id: string): Promise<TaskRunEntity | null> {
    return this.runs.findOneBy({ id });
  }

  /** A page of the task runs of a flow run, in the order in which they were called. */
  list(flowRunId: string, { limit, after }: { limit: number; after?: string }): Promise<TaskRunEntity[]> {
    return this.runs.find({
      where: { flowRunId, ...(after !== undefined && { id: MoreThan(after) }) },
      order: { id: 'ASC' },
      take: limit,
    });
  }

  /** How many runs of a flow run are in which state. Rides `task_run_flow_run_idx`. */
  async countByState(flowRunId: string): Promise<Partial<Record<StateType, number>>> {
    const rows = await this.runs
      .createQueryBuilder('run')
      .select('run.state_type', 'type')
      .addSelect('count(*)', 'count')
      .where('run.flow_run_id = :flowRunId', { flowRunId })
      .groupBy('run.state_type')
      .getRawMany<{ type: StateType; count: number }>();
    return Object.fromEntries(rows.map(({ type, count }) => [type, count]));
  }

  /** Every state the run has been in, oldest first. */
  async history(taskRunId: string): Promise<State[]> {
    const rows = await this.states.find({ where: { taskRunId }, order: { timestamp: 'ASC' } });
    return rows.map(stateOfRow);
  }
}

const SAVE_COLUMNS: readonly ((write: TaskRunWrite) => unknown)[] = [
  ({ created }) => created.id,
  ({ created }) => created.flowRunId,
  ({ created }) => created.parentTaskRunId,
  ({ created }) => created.name,
  ({ created }) => created.taskKey,
  ({ created }) => created.dynamicKey,
  ({ created }) => JSON.stringify(created.tags),
  ({ run }) => JSON.stringify(run.policy),
  ({ run }) => run.flowRunRunCount,
  ({ result }) => result,
  ({ run }) => run.state?.id ?? null,
  ({ run }) => run.state?.type ?? null,
  ({ run }) => run.state?.name ?? null,
  ({ run }) => instantParameter(run.state?.timestamp ?? null),
  ({ run }) => run.runCount,
  ({ run }) => instantParameter(run.expectedStartTime),
  ({ run }) => instantParameter(run.nextScheduledStartTime),
  ({ run }) => instantParameter(run.startTime),
  ({ run }) => instantParameter(run.endTime),
  ({ run }) => run.totalRunTimeUs,
];

/**
 * One row per run and one per state. Most runs begin and end between two flushes and are written once; one that was
 * written before is brought up to date. Rides `task_run_pkey`, one partition per run. Writes in the order of the keys, so
 * that two batches with the same runs, one of them a late repetition, never wait for each other crosswise; and the later
 * state stays, whichever of the two comes last.
 */
const saveTaskRuns = (schema: string): string => `
  with saved as (
    insert into ${schema}.task_run as r (
      id, flow_run_id, parent_task_run_id, name, task_key, dynamic_key, tags, empirical_policy, flow_run_run_count,
      result, state_id, state_type, state_name, state_timestamp, run_count, expected_start_time,
      next_scheduled_start_time, start_time, end_time, total_run_time_us)
    select * from unnest(
      $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::jsonb[], $9::integer[],
      $10::json[], $11::uuid[], $12::text[], $13::text[], $14::timestamptz[], $15::integer[], $16::timestamptz[],
      $17::timestamptz[], $18::timestamptz[], $19::timestamptz[], $20::bigint[])
    order by 1
    on conflict (id) do update
       set updated = now(), name = excluded.name, flow_run_run_count = excluded.flow_run_run_count,
           result = excluded.result, state_id = excluded.state_id, state_type = excluded.state_type,
           state_name = excluded.state_name, state_timestamp = excluded.state_timestamp,
           run_count = excluded.run_count, next_scheduled_start_time = excluded.next_scheduled_start_time,
           start_time = excluded.start_time, end_time = excluded.end_time,
           total_run_time_us = excluded.total_run_time_us
     where r.state_timestamp is null or r.state_timestamp < excluded.state_timestamp
  )
  insert into ${schema}.task_run_state (task_run_id, ${STATE_COLUMNS})
  select * from ${unnestStates(21)} order by run_id, timestamp
  on conflict do nothing`;

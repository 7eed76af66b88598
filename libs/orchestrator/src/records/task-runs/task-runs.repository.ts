import { Inject, Injectable } from '@nestjs/common';
import type { State, StateType, TaskRun } from '@nestor/core';
import { DataSource, In, MoreThan, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import {
  FENCE_WIDTH,
  fenceParameters,
  leaseCheck,
  singleFenceParameters,
  singleLeaseCheck,
  type HeldClaims,
  type WriteFence,
} from '../lease-check.js';
import { RowSet, type RowColumn } from '../row-set.js';
import { stateOfRow } from '../state-columns.js';
import { storedPolicy, storedTags } from '../stored-run.js';
import { instantParameter, newStates, STATE_COLUMNS, type NewState } from '../stored-state.js';
import { newTaskRunOfRow, taskRunOfRow, type NewTaskRun, type TaskRunWrite } from './task-run-rows.js';
import { TaskRunStateEntity } from './task-run-state.entity.js';
import { TaskRunEntity } from './task-run.entity.js';

/** A task run as the rules see it, and what never changes about it. */
export interface LoadedTaskRun {
  readonly created: NewTaskRun;
  readonly run: TaskRun;
}

/** What replay needs to know of a task run. */
export type RecordedTaskRun = Pick<
  TaskRunEntity,
  'id' | 'parentTaskRunId' | 'name' | 'taskKey' | 'dynamicKey' | 'flowRunRunCount' | 'stateType' | 'result'
>;

@Injectable()
export class TaskRunsRepository {
  private readonly runs: Repository<TaskRunEntity>;
  private readonly states: Repository<TaskRunStateEntity>;
  private readonly saveStatement: PreparedStatement;
  /** By the number of states less one. */
  private readonly saveLoneStatements: readonly PreparedStatement[];
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.runs = dataSource.getRepository(TaskRunEntity);
    this.states = dataSource.getRepository(TaskRunStateEntity);
    const schema = schemaOf(dataSource);
    this.schema = schema;
    this.saveStatement = preparedStatement('save_task_runs', saveTaskRuns(schema));
    this.saveLoneStatements = LONE_STATES.map((states) =>
      preparedStatement(`save_task_run_${states}`, saveLoneTaskRun(schema, states)),
    );
  }

  /**
   * Writes runs as they stand, new or not, and appends their states, where the claim they are written for holds. Doing it
   * twice changes nothing.
   *
   * @returns which claims hold.
   */
  async save(
    tx: Tx,
    fence: WriteFence,
    writes: readonly TaskRunWrite[],
    states: readonly NewState[],
  ): Promise<HeldClaims> {
    // Alone in its batch: the statement knows one claim, and a row refers to its own by number.
    const isLone = writes.length === 1 && fence.claims.length === 1;
    const lone = isLone ? this.saveLoneStatements[states.length - 1] : undefined;
    const [held] = lone
      ? await tx.query<{ leases: HeldClaims }>(lone, [
          ...singleFenceParameters(fence),
          ...claimedRows.singles(writes),
          ...newStates.singles(states),
        ])
      : await tx.query<{ leases: HeldClaims }>(this.saveStatement, [
          ...fenceParameters(fence),
          ...claimedRows.parameters(writes),
          ...newStates.parameters(states),
        ]);
    return held?.leases ?? null;
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

  /**
   * What is recorded of a flow run's calls and not superseded, a row at a time and without what replay does not look at, so
   * that a run with many tasks fits into memory. Rides `task_run_flow_run_idx`.
   */
  recorded(flowRunId: string): Promise<RecordedTaskRun[]> {
    return this.dataSource.query<RecordedTaskRun[]>(
      `select id, parent_task_run_id as "parentTaskRunId", name, task_key as "taskKey", dynamic_key as "dynamicKey",
              flow_run_run_count as "flowRunRunCount", state_type as "stateType", result
         from ${this.schema}.task_run where flow_run_id = $1 and not superseded order by id`,
      [flowRunId],
    );
  }

  /** Runs as the rules see them. */
  async loadAll(ids: readonly string[]): Promise<TaskRun[]> {
    const loaded = await this.load(ids);
    return loaded.map(({ run }) => run);
  }

  /** The task runs of a flow run that have not ended. Rides `task_run_flow_run_idx`. */
  async openOf(flowRunId: string): Promise<LoadedTaskRun[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select id from ${this.schema}.task_run
        where flow_run_id = $1 and state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') order by id`,
      [flowRunId],
    );
    return this.load(rows.map(({ id }) => id));
  }

  /** The task runs of a root run, and of the flow runs within it, that have not ended. */
  async openWithin(rootFlowRunId: string): Promise<LoadedTaskRun[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select t.id
         from (select $1::uuid as id
               union all
               select r.id from ${this.schema}.flow_run r
                where r.root_flow_run_id = $1 and r.parent_task_run_id is not null) as f
         join ${this.schema}.task_run t on t.flow_run_id = f.id
        where t.state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') order by t.id`,
      [rootFlowRunId],
    );
    return this.load(rows.map(({ id }) => id));
  }

  /** Lets what these runs of a flow run recorded count for nothing: the given one, and all that were called later. */
  async supersede(tx: Tx, flowRunId: string, fromTaskRunId: string): Promise<void> {
    await tx.query(
      `update ${this.schema}.task_run set superseded = true, updated = now()
        where flow_run_id = $1 and id >= $2 and not superseded`,
      [flowRunId, fromTaskRunId],
    );
  }

  private async load(ids: readonly string[]): Promise<LoadedTaskRun[]> {
    const rows = ids.length === 0 ? [] : await this.runs.findBy({ id: In([...ids]) });
    return Promise.all(
      rows.map(async (row) => {
        const { id: taskRunId, stateTimestamp: timestamp } = row;
        const state = timestamp === null ? null : await this.states.findOneBy({ taskRunId, timestamp });
        return { created: newTaskRunOfRow(row), run: taskRunOfRow(row, state) };
      }),
    );
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

/** Of a task that is called, runs and ends at once; with fewer when it takes longer. */
const LONE_STATES = [1, 2, 3] as const;

const taskRunColumns: readonly RowColumn<TaskRunWrite>[] = [
  ['id', 'uuid', ({ created }) => created.id],
  ['flow_run_id', 'uuid', ({ created }) => created.flowRunId],
  ['parent_task_run_id', 'uuid', ({ created }) => created.parentTaskRunId],
  ['name', 'text', ({ created }) => created.name],
  ['task_key', 'text', ({ created }) => created.taskKey],
  ['dynamic_key', 'text', ({ created }) => created.dynamicKey],
  ['tags', 'jsonb', ({ created }) => storedTags(created.tags)],
  ['empirical_policy', 'jsonb', ({ run }) => storedPolicy(run.policy)],
  ['flow_run_run_count', 'integer', ({ run }) => run.flowRunRunCount],
  ['result', 'json', ({ result }) => result],
  ['state_id', 'uuid', ({ run }) => run.state?.id ?? null],
  ['state_type', 'text', ({ run }) => run.state?.type ?? null],
  ['state_name', 'text', ({ run }) => run.state?.name ?? null],
  ['state_timestamp', 'timestamptz', ({ run }) => instantParameter(run.state?.timestamp ?? null)],
  ['run_count', 'integer', ({ run }) => run.runCount],
  ['expected_start_time', 'timestamptz', ({ run }) => instantParameter(run.expectedStartTime)],
  ['next_scheduled_start_time', 'timestamptz', ({ run }) => instantParameter(run.nextScheduledStartTime)],
  ['start_time', 'timestamptz', ({ run }) => instantParameter(run.startTime)],
  ['end_time', 'timestamptz', ({ run }) => instantParameter(run.endTime)],
  ['total_run_time_us', 'bigint', ({ run }) => run.totalRunTimeUs],
];

const taskRunRows = new RowSet<TaskRunWrite>(taskRunColumns);
const claimedRows = new RowSet<TaskRunWrite>([['claim', 'integer', ({ claim }) => claim], ...taskRunColumns]);

/**
 * One row per run and one per state, of the claims that hold. Most runs begin and end between two flushes and are written
 * once; one that was written before is brought up to date. Rides `task_run_pkey`, one partition per run. Writes in the
 * order of the keys, so that two batches with the same runs, one of them a late repetition, never wait for each other
 * crosswise; and the later state stays, whichever of the two comes last.
 */
const saveTaskRuns = (schema: string): string =>
  saveStatement(schema, {
    check: leaseCheck(schema),
    runs: claimedRows.source(FENCE_WIDTH + 1, 't'),
    states: newStates.source(FENCE_WIDTH + 1 + claimedRows.width, 's'),
  });

/**
 * The same for one run and a few states, as a sequence of tasks writes them. Arrays are the dearer way then: a statement that
 * takes its rows from thirty of them was measured to take half a millisecond longer than one that takes them as they are.
 */
const saveLoneTaskRun = (schema: string, states: number): string =>
  saveStatement(schema, {
    check: singleLeaseCheck(schema),
    runs: claimedRows.values(FENCE_WIDTH + 1, 't', 1),
    states: newStates.values(FENCE_WIDTH + 1 + claimedRows.width, 's', states),
  });

const saveStatement = (
  schema: string,
  { check, runs, states }: { readonly check: string; readonly runs: string; readonly states: string },
): string => `
  with ${check}, saved as (
    insert into ${schema}.task_run as r (${taskRunRows.names})
    select ${taskRunRows.names}
      from held
      cross join ${runs}
     where held.leases[t.claim]
     order by id
    on conflict (id) do update
       set updated = now(), name = excluded.name, flow_run_run_count = excluded.flow_run_run_count,
           result = excluded.result, state_id = excluded.state_id, state_type = excluded.state_type,
           state_name = excluded.state_name, state_timestamp = excluded.state_timestamp,
           run_count = excluded.run_count, next_scheduled_start_time = excluded.next_scheduled_start_time,
           start_time = excluded.start_time, end_time = excluded.end_time,
           total_run_time_us = excluded.total_run_time_us
     where r.state_timestamp is null or r.state_timestamp < excluded.state_timestamp
  ), history as (
    insert into ${schema}.task_run_state (task_run_id, ${STATE_COLUMNS})
    select run_id, ${STATE_COLUMNS}
      from held
      cross join ${states}
     where held.leases[s.claim]
     order by run_id, timestamp
    on conflict do nothing
  )
  select leases from held`;

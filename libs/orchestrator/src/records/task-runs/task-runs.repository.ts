import { Inject, Injectable } from '@nestjs/common';
import { type State, type StateType, type TaskRun } from '@nestor/core';
import { DataSource, In, MoreThan, type Repository } from 'typeorm';
import { errorCode, SqlState } from '../../persistence/connection/postgres-errors.js';
import { isId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { fenceParameters, singleFenceParameters, type HeldClaims, type WriteFence } from '../lease-check.js';
import { stateOfRow, type StoredState } from '../state-columns.js';
import { instantParameter, newStates, type NewState } from '../stored-state.js';
import {
  adoptTaskRuns,
  claimedRows,
  firstSuccess,
  LONE_STATES,
  RECORD_WIDTH,
  recordFirstSuccess,
  recordInTransaction,
  saveLoneTaskRun,
  saveTaskRuns,
  orphanedTaskRuns,
} from './task-run-statements.js';
import { newTaskRunOfRow, taskRunOfRow, type NewTaskRun, type TaskRunWrite } from './task-run-rows.js';
import { TaskRunEntity } from './task-run.entity.js';

/** A task run as the rules see it, and what never changes about it. */
export interface LoadedTaskRun {
  readonly created: NewTaskRun;
  readonly run: TaskRun;
}

/** What became of the record of a run that was written within a transaction of the application. */
export interface Recording {
  readonly held: HeldClaims;
  /** Whether the run was written. It is not where its claim is lost, or where somebody has set a later state. */
  readonly saved: boolean;
}

/** What replay needs to know of a task run. */
export type RecordedTaskRun = Pick<
  TaskRunEntity,
  | 'id'
  | 'parentTaskRunId'
  | 'name'
  | 'taskKey'
  | 'dynamicKey'
  | 'flowRunRunCount'
  | 'stateType'
  | 'stateName'
  | 'result'
>;

/** What the graph of a run shows of a task run. */
export type TaskRunInGraph = Pick<
  TaskRunEntity,
  'id' | 'name' | 'taskKey' | 'stateType' | 'stateName' | 'taskInputs'
> & {
  readonly parentId: string | null;
};

@Injectable()
export class TaskRunsRepository {
  private readonly runs: Repository<TaskRunEntity>;
  private readonly saveStatement: PreparedStatement;
  private readonly recordSuccessStatement: PreparedStatement;
  /** By the number of states less one. */
  private readonly saveLoneStatements: readonly PreparedStatement[];
  private readonly recordStatement: string;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.runs = dataSource.getRepository(TaskRunEntity);
    const schema = schemaOf(dataSource);
    this.schema = schema;
    this.saveStatement = preparedStatement('save_task_runs', saveTaskRuns(schema));
    this.recordSuccessStatement = preparedStatement('record_first_success', recordFirstSuccess(schema));
    this.recordStatement = recordInTransaction(schema);
    this.saveLoneStatements = LONE_STATES.map((states) =>
      preparedStatement(`save_task_run_${states}`, saveLoneTaskRun(schema, states)),
    );
  }

  /**
   * Writes runs as they stand, new or not, and appends their states, where the claim they are written for holds. Doing it
   * twice changes nothing.
   *
   * @param states of those runs whose history is not brief.
   * @param options.isAlone whether nothing else is written in the transaction (default). Only then is the fastest way open,
   * which may take a second statement when the first one fails.
   *
   * @returns which claims hold.
   */
  async save(
    tx: Tx,
    fence: WriteFence,
    writes: readonly TaskRunWrite[],
    states: readonly NewState[],
    { isAlone = true }: { readonly isAlone?: boolean } = {},
  ): Promise<HeldClaims> {
    const [only] = writes;
    // The statement knows one claim, and a row refers to its own by number.
    const isLone = isAlone && writes.length === 1 && fence.claims.length === 1;
    return only && isLone ? this.saveLone(tx, fence, only, states) : this.saveAny(tx, fence, writes, states);
  }

  private async saveAny(
    tx: Tx,
    fence: WriteFence,
    writes: readonly TaskRunWrite[],
    states: readonly NewState[],
  ): Promise<HeldClaims> {
    const parameters = [...fenceParameters(fence), ...claimedRows.parameters(writes), ...newStates.parameters(states)];
    const [held] = await tx.query<{ leases: HeldClaims }>(this.saveStatement, parameters);
    return held?.leases ?? null;
  }

  private async saveLone(
    tx: Tx,
    fence: WriteFence,
    write: TaskRunWrite,
    states: readonly NewState[],
  ): Promise<HeldClaims> {
    const fenced = singleFenceParameters(fence);
    if (write.brief) {
      try {
        const [held] = await tx.query<{ held: boolean }>(this.recordSuccessStatement, [
          ...fenced,
          ...firstSuccess(write, write.brief),
        ]);
        return held ? [held.held] : null;
      } catch (error) {
        // It was written already, by a commit nobody heard of; or somebody else has such an id, and the other way will tell.
        if (errorCode(error) !== SqlState.UniqueViolation) throw error;
        return this.saveAny(tx, fence, [write], states);
      }
    }
    const statement = this.saveLoneStatements[states.length - 1];
    if (!statement) return this.saveAny(tx, fence, [write], states);
    const parameters = [...fenced, ...claimedRows.singles([write]), ...newStates.singles(states)];
    const [held] = await tx.query<{ leases: HeldClaims }>(statement, parameters);
    return held?.leases ?? null;
  }

  /**
   * Writes a run that is there already, and the state it ends in, as the last thing before `commit` in a transaction that the
   * application began. What of it is locked is let go within two seconds, whatever becomes of the process.
   */
  async record(tx: Tx, fence: WriteFence, write: TaskRunWrite, state: NewState): Promise<Recording> {
    const parameters = [
      ...singleFenceParameters(fence),
      ...claimedRows.singles([write]),
      ...newStates.singles([state]),
    ];
    const [recording] = await tx.query<{ leases: HeldClaims; saved: boolean }>(this.recordStatement, parameters);
    return recording ? { held: recording.leases, saved: recording.saved } : { held: null, saved: false };
  }

  /** Does what {@link record} does, for nobody: fails as that would where the role may not do it. */
  async rehearseRecord(tx: Tx): Promise<void> {
    await tx.query(
      this.recordStatement,
      Array.from({ length: RECORD_WIDTH }, () => null),
    );
  }

  /** The state of a run that is there, once nobody is writing it any more; `null` when there is no such run. */
  async settledStateId(tx: Tx, id: string): Promise<string | null> {
    const [row] = await tx.query<{ stateId: string | null }>(
      `select state_id as "stateId" from ${this.schema}.task_run where id = $1 for update`,
      [id],
    );
    return row?.stateId ?? null;
  }

  async find(id: string): Promise<TaskRunEntity | null> {
    return isId(id) ? this.runs.findOneBy({ id }) : null;
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
   * The first task runs of a flow run that are not superseded, in the order of their calls, without what they gave. Rides
   * `task_run_flow_run_idx`.
   */
  forGraph(flowRunId: string, limit: number): Promise<TaskRunInGraph[]> {
    return this.dataSource.query<TaskRunInGraph[]>(
      `select id, name, task_key as "taskKey", parent_task_run_id as "parentId", state_type as "stateType",
              state_name as "stateName", task_inputs as "taskInputs"
         from ${this.schema}.task_run where flow_run_id = $1 and not superseded order by id limit $2`,
      [flowRunId, limit],
    );
  }

  /**
   * What is recorded of a flow run's calls and not superseded, a row at a time and without what replay does not look at, so
   * that a run with many tasks fits into memory. Rides `task_run_flow_run_idx`.
   */
  recorded(flowRunId: string): Promise<RecordedTaskRun[]> {
    return this.dataSource.query<RecordedTaskRun[]>(
      `select id, parent_task_run_id as "parentTaskRunId", name, task_key as "taskKey", dynamic_key as "dynamicKey",
              flow_run_run_count as "flowRunRunCount", state_type as "stateType", state_name as "stateName", result
         from ${this.schema}.task_run where flow_run_id = $1 and not superseded order by id`,
      [flowRunId],
    );
  }

  /** The ids of the runs of a flow run that have ended, in the order in which they did. Rides `task_run_flow_run_idx`. */
  async inOrderOfEnd(flowRunId: string): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select id from ${this.schema}.task_run where flow_run_id = $1 and end_time is not null order by end_time, id`,
      [flowRunId],
    );
    return rows.map(({ id }) => id);
  }

  /** Runs as the rules see them. */
  async loadAll(ids: readonly string[]): Promise<TaskRun[]> {
    const loaded = await this.load(ids);
    return loaded.map(({ run }) => run);
  }

  /** Takes over up to `limit` open runs outside any flow run whose process is fenced or gone. */
  async adopt(tx: Tx, processId: string, limit: number): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(adoptTaskRuns(this.schema), [processId, limit]);
    return rows.map(({ id }) => id);
  }

  /** Whether there are any to {@link adopt}. */
  lookForOrphans(limit: number): Look {
    return { text: orphanedTaskRuns(this.schema), parameters: [null, limit], finds: 'rows' };
  }

  /**
   * A page of the task runs of flow runs that have not ended, in the order of their ids, after one of them. Rides
   * `task_run_flow_run_idx`.
   */
  async openOf(flowRunIds: readonly string[], limit: number, after: string | null): Promise<LoadedTaskRun[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select id from ${this.schema}.task_run
        where flow_run_id = any($1::uuid[]) and ($3::uuid is null or id > $3)
          and state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') order by id limit $2`,
      [flowRunIds, limit, after],
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

  /** Runs with their current states, in the order of their ids; those that there are not are left out. */
  async load(ids: readonly string[]): Promise<LoadedTaskRun[]> {
    if (ids.length === 0) return [];
    const rows = await this.runs.find({ where: { id: In([...ids]) }, order: { id: 'ASC' } });
    const states = await this.dataSource.query<(StoredState & { readonly runId: string })[]>(
      `select h.task_run_id as "runId", h.id, h.type, h.name, h.message, h.state_details as "stateDetails", h.timestamp
         from unnest($1::uuid[], $2::timestamptz[]) as k(run_id, at)
        cross join lateral (
          select * from ${this.schema}.task_run_history h where h.task_run_id = k.run_id and h.timestamp = k.at) as h`,
      [rows.map(({ id }) => id), rows.map(({ stateTimestamp }) => instantParameter(stateTimestamp))],
    );
    const stateOf = new Map(states.map(({ runId, ...state }) => [runId, state]));
    return rows.map((row) => ({ created: newTaskRunOfRow(row), run: taskRunOfRow(row, stateOf.get(row.id) ?? null) }));
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
    const rows = await this.dataSource.query<StoredState[]>(
      `select id, type, name, message, state_details as "stateDetails", timestamp
         from ${this.schema}.task_run_history where task_run_id = $1 order by timestamp`,
      [taskRunId],
    );
    return rows.map(stateOfRow);
  }
}

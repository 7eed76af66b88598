import { Inject, Injectable } from '@nestjs/common';
import { stateOfRow } from '../state-columns.js';
import type { FlowRun, State, StateType } from '@nestor/core';
import { DataSource, In, LessThan, type Repository } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import { columnsOf } from '../columns-of.js';
import { instantParameter, STATE_COLUMNS, stateColumns, unnestStates, type NewState } from '../stored-state.js';
import { flowRunOfRow, type FlowRunMove, type NewFlowRun } from './flow-run-rows.js';
import { FlowRunStateEntity } from './flow-run-state.entity.js';
import { FlowRunEntity } from './flow-run.entity.js';

/** What a page of flow runs is narrowed to and where it starts. */
interface FlowRunPage {
  readonly limit: number;
  /** Only runs made before this one. */
  readonly before?: string;
  readonly stateTypes?: readonly StateType[];
  readonly flowId?: string;
}

@Injectable()
export class FlowRunsRepository {
  private readonly runs: Repository<FlowRunEntity>;
  private readonly states: Repository<FlowRunStateEntity>;
  private readonly insertStatement: PreparedStatement;
  private readonly moveStatement: PreparedStatement;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) dataSource: DataSource) {
    this.runs = dataSource.getRepository(FlowRunEntity);
    this.states = dataSource.getRepository(FlowRunStateEntity);
    const schema = schemaOf(dataSource);
    this.insertStatement = preparedStatement('insert_flow_runs', insertFlowRuns(schema));
    this.moveStatement = preparedStatement('move_flow_runs', moveFlowRuns(schema));
  }

  /** Creates runs in their first states. Creating one a second time (after a commit nobody heard of) changes nothing. */
  async insert(
    tx: Tx,
    rows: readonly { created: NewFlowRun; run: FlowRun }[],
    states: readonly NewState[],
  ): Promise<void> {
    await tx.query(this.insertStatement, [...columnsOf(rows, INSERT_COLUMNS), ...columnsOf(states, stateColumns)]);
  }

  /**
   * Moves runs on, each only if it is still in the state its move was decided from, and appends the states of those.
   * A move that was made already (after a commit nobody heard of) counts as made.
   *
   * @returns the ids of the runs that moved; the others were changed by somebody else in between.
   */
  async move(tx: Tx, moves: readonly FlowRunMove[], states: readonly NewState[]): Promise<ReadonlySet<string>> {
    const parameters = [...columnsOf(moves, MOVE_COLUMNS), ...columnsOf(states, stateColumns)];
    const moved = await tx.query<{ id: string }>(this.moveStatement, parameters);
    return new Set(moved.map((row) => row.id));
  }

  find(id: string): Promise<FlowRunEntity | null> {
    return this.runs.findOneBy({ id });
  }

  /** The run as the rules see it; `null` when there is none of that id. */
  async load(id: string): Promise<FlowRun | null> {
    const row = await this.find(id);
    if (!row) return null;
    const state = row.stateTimestamp === null ? null : await this.stateAt(id, row.stateTimestamp);
    return flowRunOfRow(row, state);
  }

  /** A page of runs, newest first. */
  list({ limit, before, stateTypes, flowId }: FlowRunPage): Promise<FlowRunEntity[]> {
    return this.runs.find({
      where: {
        ...(before !== undefined && { id: LessThan(before) }),
        ...(stateTypes && { stateType: In([...stateTypes]) }),
        ...(flowId !== undefined && { flowId }),
      },
      order: { id: 'DESC' },
      take: limit,
    });
  }

  /** Every state the run has been in, oldest first. */
  async history(flowRunId: string): Promise<State[]> {
    const rows = await this.states.find({ where: { flowRunId }, order: { timestamp: 'ASC' } });
    return rows.map(stateOfRow);
  }

  private stateAt(flowRunId: string, timestamp: FlowRunStateEntity['timestamp']): Promise<FlowRunStateEntity | null> {
    return this.states.findOneBy({ flowRunId, timestamp });
  }
}

const INSERT_COLUMNS: readonly ((row: { created: NewFlowRun; run: FlowRun }) => unknown)[] = [
  ({ created }) => created.id,
  ({ created }) => created.flowId,
  ({ created }) => created.app,
  ({ created }) => created.rootFlowRunId,
  ({ created }) => created.parentTaskRunId,
  ({ created }) => created.name,
  ({ created }) => created.buildId,
  ({ created }) => created.encodingVersion,
  ({ created }) => created.parameters,
  ({ created }) => JSON.stringify(created.tags),
  ({ run }) => JSON.stringify(run.policy),
  ({ run }) => run.state?.id ?? null,
  ({ run }) => run.state?.type ?? null,
  ({ run }) => run.state?.name ?? null,
  ({ run }) => instantParameter(run.state?.timestamp ?? null),
  ({ run }) => instantParameter(run.expectedStartTime),
  ({ run }) => instantParameter(run.nextScheduledStartTime),
];

/**
 * One row per new run and one per state. Takes no locks beyond its own rows, and those in the order of the keys: a late
 * repetition of the same batch waits for them.
 */
const insertFlowRuns = (schema: string): string => `
  with created as (
    insert into ${schema}.flow_run (
      id, flow_id, app, root_flow_run_id, parent_task_run_id, name, build_id, encoding_version, parameters, tags,
      empirical_policy, state_id, state_type, state_name, state_timestamp, expected_start_time,
      next_scheduled_start_time)
    select * from unnest(
      $1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::smallint[], $9::json[],
      $10::jsonb[], $11::jsonb[], $12::uuid[], $13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[],
      $17::timestamptz[])
    order by 1
    on conflict do nothing
  )
  insert into ${schema}.flow_run_state (flow_run_id, ${STATE_COLUMNS})
  select * from ${unnestStates(18)} order by run_id, timestamp
  on conflict do nothing`;

const MOVE_COLUMNS: readonly ((move: FlowRunMove) => unknown)[] = [
  ({ run }) => run.id,
  ({ expectedStateId }) => expectedStateId,
  ({ run }) => JSON.stringify(run.policy),
  ({ result }) => result,
  ({ run }) => run.state?.id ?? null,
  ({ run }) => run.state?.type ?? null,
  ({ run }) => run.state?.name ?? null,
  ({ run }) => instantParameter(run.state?.timestamp ?? null),
  ({ run }) => run.runCount,
  ({ run }) => instantParameter(run.nextScheduledStartTime),
  ({ run }) => instantParameter(run.startTime),
  ({ run }) => instantParameter(run.endTime),
  ({ run }) => run.totalRunTimeUs,
];

/**
 * Compare-and-set of many runs. Locks the rows in id order, so that two batches never wait for each other; the condition
 * on `state_id` is evaluated on the row as it is once the lock is held. Rides `flow_run_pkey`, one partition per run.
 */
const moveFlowRuns = (schema: string): string => `
  with move as materialized (
    select * from unnest(
      $1::uuid[], $2::uuid[], $3::jsonb[], $4::json[], $5::uuid[], $6::text[], $7::text[], $8::timestamptz[],
      $9::integer[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::bigint[])
      as m(id, expected_state_id, empirical_policy, result, state_id, state_type, state_name, state_timestamp,
           run_count, next_scheduled_start_time, start_time, end_time, total_run_time_us)
  ), locked as materialized (
    select r.id from ${schema}.flow_run r where r.id = any($1::uuid[]) order by r.id for update
  ), moved as (
    update ${schema}.flow_run r
       set updated = now(), empirical_policy = m.empirical_policy, result = m.result, state_id = m.state_id,
           state_type = m.state_type, state_name = m.state_name, state_timestamp = m.state_timestamp,
           run_count = m.run_count, next_scheduled_start_time = m.next_scheduled_start_time,
           start_time = m.start_time, end_time = m.end_time, total_run_time_us = m.total_run_time_us
      from move m
      join locked l on l.id = m.id
     where r.id = m.id
       and (r.state_id is not distinct from m.expected_state_id or r.state_id = m.state_id)
    returning r.id
  ), history as (
    insert into ${schema}.flow_run_state (flow_run_id, ${STATE_COLUMNS})
    select s.run_id, s.timestamp, s.id, s.type, s.name, s.message, s.state_details, s.follows
      from ${unnestStates(14)}
      join moved on moved.id = s.run_id
    on conflict do nothing
  )
  select id from moved`;

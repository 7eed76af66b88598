import { Inject, Injectable } from '@nestjs/common';
import { stateOfRow } from '../state-columns.js';
import { formatInstant, type FlowRun, type Instant, type State, type StateType } from '@nestor/core';
import { DataSource, In, IsNull, LessThan, type Repository } from 'typeorm';
import { isId } from '../../persistence/ids.js';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { fenceParameters, singleFenceParameters, type HeldClaims, type WriteFence } from '../lease-check.js';
import { timeAhead } from '../time-ahead.js';
import { newStates, type NewState } from '../stored-state.js';
import { flowRunOfRow, type FlowRunCreation, type FlowRunMove } from './flow-run-rows.js';
import {
  adoptEnded,
  claimedCreations,
  flowRunsWithin,
  insertFlowRuns,
  insertLoneFlowRun,
  lateFlowRuns,
  moveFlowRuns,
  moveRows,
  orphanedFlowRuns,
  overdueFlowRuns,
  releaseEnded,
  releaseOrphans,
} from './flow-run-statements.js';
import { FlowRunStateEntity } from './flow-run-state.entity.js';
import { FlowRunEntity } from './flow-run.entity.js';

/** What a page of flow runs is narrowed to and where it starts. */
interface FlowRunPage {
  readonly limit: number;
  /** Only runs made before this one. */
  readonly before?: string;
  readonly stateTypes?: readonly StateType[];
  readonly flowId?: string;
  /** Leaves out the runs within others. */
  readonly outermost?: boolean;
}

/** What the process that executes a run has to notice of it. */
export interface ObservedFlowRun {
  readonly id: string;
  readonly stateId: string | null;
  readonly stateType: StateType | null;
  readonly stateName: string | null;
  readonly processId: string | null;
  readonly leaseEpoch: number;
  /** It was suspended: it is to leave its process. */
  readonly pauseReschedule: boolean;
}

/** Which runs are late. */
interface LateRequest {
  readonly lateAfterMs: number;
  readonly limit: number;
  readonly after: LateFlowRun | null;
  /** See `DatabaseClock.leadUs`. */
  readonly leadUs: number;
}

/** Which runs are overdue. */
interface OverdueRequest {
  /** How long a run may be CANCELLING. */
  readonly cancellingMs: number;
  readonly limit: number;
  readonly after: OverdueFlowRun | null;
  /** See `DatabaseClock.leadUs`. */
  readonly leadUs: number;
}

/** A run that somebody should have ended or resumed by now. */
export interface OverdueFlowRun {
  readonly id: string;
  readonly stateId: string;
  readonly stateType: StateType;
}

/** A run that was due and that nobody has taken since. */
export interface LateFlowRun {
  readonly id: string;
  readonly stateId: string;
  readonly dueAt: Instant;
}

/** A root run whose process is fenced or gone. */
export interface OrphanedFlowRun {
  readonly id: string;
  readonly processId: string;
  readonly stateType: StateType | null;
  /** It waited for nothing more: its process was about to begin it, or had, without having noted so. */
  readonly wasBeginning: boolean;
}

/** A run as its row holds it, and as the rules see it. */
export interface LoadedFlowRun {
  readonly row: FlowRunEntity;
  readonly run: FlowRun;
}

@Injectable()
export class FlowRunsRepository {
  private readonly runs: Repository<FlowRunEntity>;
  private readonly states: Repository<FlowRunStateEntity>;
  private readonly insertStatement: PreparedStatement;
  private readonly insertLoneStatement: PreparedStatement;
  private readonly moveStatement: PreparedStatement;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.runs = dataSource.getRepository(FlowRunEntity);
    this.states = dataSource.getRepository(FlowRunStateEntity);
    const schema = schemaOf(dataSource);
    this.schema = schema;
    this.insertStatement = preparedStatement('insert_flow_runs', insertFlowRuns(schema));
    this.insertLoneStatement = preparedStatement('insert_flow_run', insertLoneFlowRun(schema));
    this.moveStatement = preparedStatement('move_flow_runs', moveFlowRuns(schema));
  }

  /**
   * Creates runs in their first states, where the claim they are made for holds. Creating one a second time (after a commit
   * nobody heard of) changes nothing.
   *
   * @returns which claims hold.
   */
  async insert(
    tx: Tx,
    fence: WriteFence,
    rows: readonly FlowRunCreation[],
    states: readonly NewState[],
  ): Promise<HeldClaims> {
    const isLone = rows.length === 1 && states.length === 1 && fence.claims.length === 1;
    const [held] = isLone
      ? await tx.query<{ leases: HeldClaims }>(this.insertLoneStatement, [
          ...singleFenceParameters(fence),
          ...claimedCreations.singles(rows),
          ...newStates.singles(states),
        ])
      : await tx.query<{ leases: HeldClaims }>(this.insertStatement, [
          ...fenceParameters(fence),
          ...claimedCreations.parameters(rows),
          ...newStates.parameters(states),
        ]);
    return held?.leases ?? null;
  }

  /**
   * Moves runs on, each only if its claim holds and it is still in the state its move was decided from, and appends the
   * states of those. A move that was made already (after a commit nobody heard of) counts as made.
   *
   * @returns which claims hold, and the ids of the runs that moved; the others were changed by somebody else in between.
   */
  async move(
    tx: Tx,
    fence: WriteFence,
    moves: readonly FlowRunMove[],
    states: readonly NewState[],
  ): Promise<{ readonly held: HeldClaims; readonly moved: ReadonlySet<string> }> {
    const parameters = [...fenceParameters(fence), ...moveRows.parameters(moves), ...newStates.parameters(states)];
    const [answer] = await tx.query<{ leases: HeldClaims; moved: string[] }>(this.moveStatement, parameters);
    return { held: answer?.leases ?? null, moved: new Set(answer?.moved) };
  }

  /** Root runs of these flows whose process is fenced or gone. */
  orphaned(app: string, flowIds: readonly string[], limit: number): Promise<OrphanedFlowRun[]> {
    return this.dataSource.query<OrphanedFlowRun[]>(orphanedFlowRuns(this.schema), [app, flowIds, limit]);
  }

  /** Whether there are any that are {@link orphaned}. */
  lookForOrphans(app: string, flowIds: readonly string[], limit: number): Look {
    return { text: orphanedFlowRuns(this.schema), parameters: [app, flowIds, limit], finds: 'rows' };
  }

  /** These flow runs, and all within them, of any depth, whether they have ended or not. */
  async within(ids: readonly string[]): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(flowRunsWithin(this.schema), [ids]);
    return rows.map(({ id }) => id);
  }

  /** A page of those of the runs that have not ended, in the order of their ids, after one of them. Rides `flow_run_pkey`. */
  async openAmong(ids: readonly string[], limit: number, after: string | null): Promise<LoadedFlowRun[]> {
    if (ids.length === 0) return [];
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select id from ${this.schema}.flow_run
        where id = any($1::uuid[]) and ($3::uuid is null or id > $3)
          and state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') order by id limit $2`,
      [ids, limit, after],
    );
    return this.loadRows(rows.map(({ id }) => id));
  }

  /** The runs that have not ended among those that task runs stand for. Rides `flow_run_parent_idx`. */
  async openBelow(taskRunIds: readonly string[]): Promise<string[]> {
    const rows = await this.dataSource.query<{ id: string }[]>(
      `select id from ${this.schema}.flow_run
        where parent_task_run_id = any($1::uuid[])
          and state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED') order by id`,
      [taskRunIds],
    );
    return rows.map(({ id }) => id);
  }

  /** In what states runs are, and whether they are to leave their process. */
  observed(ids: readonly string[]): Promise<ObservedFlowRun[]> {
    return this.dataSource.query<ObservedFlowRun[]>(
      `select r.id, r.state_id as "stateId", r.state_type as "stateType", r.state_name as "stateName",
              r.process_id as "processId", r.lease_epoch as "leaseEpoch", r.state_type = 'PAUSED' and exists (
                select from ${this.schema}.flow_run_state s
                 where s.flow_run_id = r.id and s.timestamp = r.state_timestamp
                   and s.state_details @> '{"pauseReschedule": true}') as "pauseReschedule"
         from ${this.schema}.flow_run r where r.id = any($1::uuid[])`,
      [ids],
    );
  }

  /**
   * A page of paused runs whose time is over, and of runs that have been CANCELLING for too long,
   * after one of the page before.
   */
  overdue(app: string, request: OverdueRequest): Promise<OverdueFlowRun[]> {
    return this.dataSource.query<OverdueFlowRun[]>(overdueFlowRuns(this.schema), overdueParameters(app, request));
  }

  /** Whether there are any that are {@link overdue}. */
  lookForOverdue(app: string, request: OverdueRequest): Look {
    return { text: overdueFlowRuns(this.schema), parameters: overdueParameters(app, request), finds: 'rows' };
  }

  /** A page of runs that have been due for that long and that nobody has taken, after one of the page before. */
  late(app: string, request: LateRequest): Promise<LateFlowRun[]> {
    return this.dataSource.query<LateFlowRun[]>(lateFlowRuns(this.schema), lateParameters(app, request));
  }

  /** Whether there are any that are {@link late}. */
  lookForLate(app: string, request: LateRequest): Look {
    return { text: lateFlowRuns(this.schema), parameters: lateParameters(app, request), finds: 'rows' };
  }

  /**
   * Milliseconds until the next run of these flows is due that somebody asked for and nobody executes; `null` when none waits.
   * Rides `flow_run_due_idx`.
   *
   * @param leadUs see `DatabaseClock.leadUs`.
   */
  async nextAskedForInMs(app: string, flowIds: readonly string[], leadUs: number): Promise<number | null> {
    const rows = await this.dataSource.query<{ ms: number | null }[]>(
      `select extract(epoch from min(r.next_scheduled_start_time) - (${timeAhead('$3')}))::float8 * 1000 as ms
         from ${this.schema}.flow_run r
        where r.state_type = 'SCHEDULED' and r.process_id is null and not r.auto_scheduled and r.work_queue_id is null
          and r.app = $1 and r.flow_id = any($2::uuid[])`,
      [app, flowIds, leadUs],
    );
    return rows[0]?.ms ?? null;
  }

  /** Whether any run of an application is paused or suspended. Rides `flow_run_active_idx`. */
  async areSomePaused(app: string): Promise<boolean> {
    const rows = await this.dataSource.query<{ are: boolean }[]>(
      `select exists (select from ${this.schema}.flow_run where app = $1 and state_type = 'PAUSED') as are`,
      [app],
    );
    return rows[0]?.are ?? false;
  }

  /** Takes those of the runs over that have ended and whose process is fenced or gone; gives the ids of those it got. */
  async adoptEnded(tx: Tx, ids: readonly string[], processId: string): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(adoptEnded(this.schema), [processId, ids]);
    return rows.map(({ id }) => id);
  }

  /** Lets go of runs that a process has ended; locks them in the order of their ids. */
  async releaseEnded(tx: Tx, ids: readonly string[], processId: string): Promise<void> {
    await tx.query(releaseEnded(this.schema), [ids, processId]);
  }

  /** Lets go of those of the runs that wait and whose process is fenced or gone. */
  async releaseOrphans(tx: Tx, ids: readonly string[]): Promise<void> {
    await tx.query(releaseOrphans(this.schema), [ids]);
  }

  async find(id: string): Promise<FlowRunEntity | null> {
    return isId(id) ? this.runs.findOneBy({ id }) : null;
  }

  /** The run as the rules see it; `null` when there is none of that id. */
  async load(id: string): Promise<FlowRun | null> {
    return (await this.loadRow(id))?.run ?? null;
  }

  /** The row of a run, and the run as the rules see it; `null` when there is none of that id. */
  async loadRow(id: string): Promise<LoadedFlowRun | null> {
    const row = await this.find(id);
    if (!row) return null;
    const state = row.stateTimestamp === null ? null : await this.stateAt(id, row.stateTimestamp);
    return { row, run: flowRunOfRow(row, state) };
  }

  /** The same for many runs, by one statement; those that are there, in the order of their ids. */
  async loadRows(ids: readonly string[]): Promise<LoadedFlowRun[]> {
    if (ids.length === 0) return [];
    const rows = (await this.runs
      .createQueryBuilder('r')
      .leftJoinAndMapOne('r.state', FlowRunStateEntity, 's', 's.flowRunId = r.id and s.timestamp = r.stateTimestamp')
      .where('r.id = any(:ids)', { ids: [...ids] })
      .orderBy('r.id')
      .getMany()) as (FlowRunEntity & { readonly state?: FlowRunStateEntity | null })[];
    return rows.map((row) => ({ row, run: flowRunOfRow(row, row.state ?? null) }));
  }

  /** A page of runs, newest first. */
  list({ limit, before, stateTypes, flowId, outermost = false }: FlowRunPage): Promise<FlowRunEntity[]> {
    return this.runs.find({
      where: {
        ...(before !== undefined && { id: LessThan(before) }),
        ...(stateTypes && { stateType: In([...stateTypes]) }),
        ...(flowId !== undefined && { flowId }),
        ...(outermost && { parentTaskRunId: IsNull() }),
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

function overdueParameters(app: string, { cancellingMs, limit, after, leadUs }: OverdueRequest): unknown[] {
  return [app, cancellingMs, limit, leadUs, after?.stateType ?? null, after?.id ?? null];
}

function lateParameters(app: string, { lateAfterMs, limit, after, leadUs }: LateRequest): unknown[] {
  return [app, lateAfterMs, leadUs, limit, after && formatInstant(after.dueAt), after?.id ?? null];
}

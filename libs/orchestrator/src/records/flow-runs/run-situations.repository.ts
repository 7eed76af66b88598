import type { Instant, StateType } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { DeploymentEntity } from '../deployments/deployment.entity.js';
import { DeploymentScheduleEntity } from '../deployments/deployment-schedule.entity.js';
import { FlowEntity } from '../flows/flow.entity.js';
import type { LoopBehind, ServedLanes } from '../processes/process.entity.js';
import { isDead, type DeathRules } from '../processes/process-death.js';
import { stateOfRow } from '../state-columns.js';
import { instantParameter } from '../stored-state.js';
import { timeAhead } from '../time-ahead.js';
import { WorkPoolEntity } from '../work-pools/work-pool.entity.js';
import { WorkQueueEntity } from '../work-pools/work-queue.entity.js';
import { FlowRunEntity } from './flow-run.entity.js';
import { FlowRunStateEntity } from './flow-run-state.entity.js';

/** Runs that are in the way are named up to this many. */
const MOST_NAMED = 100;
/** Runs that go first are counted up to this many. */
const MOST_COUNTED = 1_000;

/** A process that is named by a run. */
interface Holder {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly buildId: string | null;
  readonly heartbeatAt: Instant;
  readonly isFenced: boolean;
  /** Whether its heartbeat is older than usual. */
  readonly isLate: boolean;
  /** When it counts as dead, unless its heart beats again. */
  readonly deadAt: Instant;
}

/** A process that lives. */
export interface LiveProcess {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly buildId: string | null;
  readonly flowIds: readonly string[] | null;
  readonly serves: ServedLanes | null;
  /** How many runs it holds. */
  readonly held: number;
  /** Which of its loops are behind, and since when; `null`: none. */
  readonly loopsBehind: readonly LoopBehind[] | null;
}

/** A run that is in the way of another one. */
export interface OtherRun {
  readonly id: string;
  readonly name: string;
  readonly stateType: StateType;
  readonly since: Instant;
}

/** A limit of which a run waits for slots. */
export interface AwaitedLimit {
  readonly id: string;
  readonly name: string;
  readonly limit: number;
  /** How many slots come back per second; 0 where they are given back. */
  readonly slotDecayPerSecond: number;
  readonly slots: number;
  readonly taskRunId: string | null;
  /** How many wait longer. */
  readonly ahead: number;
  /** When there is room for it at a rate, after those that wait longer; `null` where slots are given back. */
  readonly refillsAt: Instant | null;
}

/** Who holds slots of a limit. */
export interface SlotHolder {
  /** The three are `null` for a lease of a client. */
  readonly flowRunId: string | null;
  readonly taskRunId: string | null;
  readonly processId: string | null;
  readonly slots: number;
  readonly since: Instant;
}

/** Reads all that bears on whether a run goes on: on request, for people; nothing is locked. */
@Injectable()
export class RunSituationsRepository {
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.schema = schemaOf(dataSource);
  }

  /** The run with what it refers to; `null` when there is none of that id. */
  async find(id: string, rules: DeathRules) {
    const row = await this.dataSource.getRepository(FlowRunEntity).findOneBy({ id });
    if (!row) return null;
    const { stateId, stateTimestamp, deploymentId, scheduleId, workQueueId } = row;
    const of = this.dataSource;
    const [flow, state, holder, deployment, schedule, queue] = await Promise.all([
      of.getRepository(FlowEntity).findOneBy({ id: row.flowId }),
      stateId === null || stateTimestamp === null
        ? null
        : of.getRepository(FlowRunStateEntity).findOneBy({ flowRunId: id, timestamp: stateTimestamp, id: stateId }),
      row.processId === null ? null : this.holder(row.processId, rules),
      deploymentId === null ? null : of.getRepository(DeploymentEntity).findOneBy({ id: deploymentId }),
      scheduleId === null ? null : of.getRepository(DeploymentScheduleEntity).findOneBy({ id: scheduleId }),
      workQueueId === null ? null : of.getRepository(WorkQueueEntity).findOneBy({ id: workQueueId }),
    ]);
    const pool = queue && (await of.getRepository(WorkPoolEntity).findOneBy({ id: queue.workPoolId }));
    const flowName = flow?.name ?? row.flowId;
    return { row, flowName, state: state && stateOfRow(state), holder, deployment, schedule, queue, pool };
  }

  private async holder(id: string, { leaseMs, hintMs }: DeathRules): Promise<Holder | null> {
    const rows = await this.dataSource.query<Holder[]>(
      `select p.id, p.host, p.pid, p.build_id as "buildId", p.heartbeat_at as "heartbeatAt",
              p.fenced_at is not null as "isFenced",
              p.heartbeat_at < clock_timestamp() - $3::float8 * interval '1 millisecond' as "isLate",
              greatest(p.heartbeat_at, pg_postmaster_start_time()) + $2::float8 * interval '1 millisecond' as "deadAt"
         from ${this.schema}.process p where p.id = $1`,
      [id, leaseMs, hintMs],
    );
    return rows[0] ?? null;
  }

  /** The processes of an application that live. Rides `flow_run_process_idx`. */
  liveProcesses(app: string, { leaseMs, hintMs }: DeathRules): Promise<LiveProcess[]> {
    return this.dataSource.query(
      `select p.id, p.host, p.pid, p.build_id as "buildId", p.flow_ids::text[] as "flowIds", p.serves, p.loops_behind as "loopsBehind",
              (select count(*) from ${this.schema}.flow_run r
                where r.process_id = p.id and r.state_type not in ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED'))::integer as held
         from ${this.schema}.process p
        where p.app = $1 and p.fenced_at is null and not ${isDead(this.schema, { lease: '$2::float8', hint: '$3::float8' })}
        order by p.started_at, p.id`,
      [app, leaseMs, hintMs],
    );
  }

  /** The runs that count against the limits of queues, the oldest first. Rides `flow_run_occupying_idx`. */
  occupants(queueIds: readonly string[]): Promise<OtherRun[]> {
    return this.dataSource.query(
      `select r.id, r.name, r.state_type as "stateType", r.state_timestamp as since
         from ${this.schema}.flow_run r
        where r.work_queue_id = any($1::uuid[]) and r.work_queue_id is not null
          and (r.process_id is not null or r.state_type in ('PENDING', 'RUNNING', 'CANCELLING'))
        order by r.state_timestamp, r.id`,
      [queueIds],
    );
  }

  /** The limits of which a run, or code of it, waits for slots. Rides `concurrency_claim_pkey` from the waiters on. */
  awaitedLimits(flowRunId: string, leadUs: number): Promise<AwaitedLimit[]> {
    return this.dataSource.query(
      `select l.id, l.name, l."limit", l.slot_decay_per_second as "slotDecayPerSecond", w.slots, c.task_run_id as "taskRunId",
              line.ahead::integer as ahead,
              case when l.slot_decay_per_second > 0 then
                ${timeAhead('$2')} + greatest(0, line.needed + w.slots - room.free) / l.slot_decay_per_second * interval '1 second'
              end as "refillsAt"
         from ${this.schema}.concurrency_waiter w
         join ${this.schema}.concurrency_claim c on c.id = w.claim_id
         join ${this.schema}.concurrency_limit l on l.id = w.limit_id
        cross join lateral (
          select count(*) as ahead, coalesce(sum(o.slots), 0)::double precision as needed
            from ${this.schema}.concurrency_waiter o where o.limit_id = w.limit_id and o.position < w.position) as line
        cross join lateral ${this.schema}.concurrency_room(array[w.limit_id], ${timeAhead('$2')}) as room
        where c.flow_run_id = $1
        order by w.position, l.name`,
      [flowRunId, leadUs],
    );
  }

  /** Who holds slots of a limit, the longest first. Rides `concurrency_slot_pkey`. */
  slotHolders(limitId: string): Promise<SlotHolder[]> {
    return this.dataSource.query(
      `select c.flow_run_id as "flowRunId", c.task_run_id as "taskRunId", c.process_id as "processId",
              count(*)::integer as slots, min(s.taken_at) as since
         from ${this.schema}.concurrency_slot s
         join ${this.schema}.concurrency_claim c on c.id = s.claim_id
        where s.limit_id = $1
        group by c.id
        order by since, c.id
        limit ${MOST_NAMED}`,
      [limitId],
    );
  }

  async queueIdsOf(poolId: string): Promise<string[]> {
    const queues = await this.dataSource.getRepository(WorkQueueEntity).findBy({ workPoolId: poolId });
    return queues.map(({ id }) => id);
  }

  /** The runs of a schedule that come before a run and have not ended. Rides `flow_run_schedule_idx`. */
  beforeItInSchedule({ id, scheduleId, nextScheduledStartTime }: FlowRunEntity): Promise<OtherRun[]> {
    return this.dataSource.query(
      `select r.id, r.name, r.state_type as "stateType", r.state_timestamp as since
         from ${this.schema}.flow_run r
        where r.schedule_id = $1 and r.id <> $2
          and r.state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')
          and (r.next_scheduled_start_time is null or (r.next_scheduled_start_time, r.id) < ($3::timestamptz, $2::uuid))
        order by r.next_scheduled_start_time nulls first, r.id
        limit ${MOST_NAMED}`,
      [scheduleId, id, instantParameter(nextScheduledStartTime)],
    );
  }

  /**
   * How many runs that are due go before a run where it waits, up to a thousand. Rides `flow_run_free_idx` or
   * `flow_run_queued_idx`.
   */
  async countBefore(
    { id, app, workQueueId, priority, nextScheduledStartTime }: FlowRunEntity,
    leadUs: number,
  ): Promise<number> {
    const lane =
      workQueueId === null ? 'r.work_queue_id is null and r.app = $1' : 'r.work_queue_id = $6::uuid and r.app = $1';
    const rows = await this.dataSource.query<{ count: number }[]>(
      `select count(*)::integer as count from (
         select from ${this.schema}.flow_run r
          where r.state_type = 'SCHEDULED' and r.process_id is null and not r.awaits_turn and r.fair_line_id is null and ${lane}
            and r.next_scheduled_start_time <= ${timeAhead('$5')}
            and (r.priority, r.next_scheduled_start_time, r.id) < ($2::smallint, $3::timestamptz, $4::uuid)
          limit ${MOST_COUNTED}) as before`,
      [
        ...[app, priority, instantParameter(nextScheduledStartTime), id, leadUs],
        ...(workQueueId === null ? [] : [workQueueId]),
      ],
    );
    return rows[0]?.count ?? 0;
  }
}

/** What a look at a run gives. */
export type RunSituation = NonNullable<Awaited<ReturnType<RunSituationsRepository['find']>>>;

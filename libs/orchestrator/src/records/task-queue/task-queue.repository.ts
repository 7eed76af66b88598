import { StateType, type State } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { DataSource, In } from 'typeorm';
import { schemaOf } from '../../persistence/schema-of.js';
import { ORCHESTRATOR_DATA_SOURCE } from '../../persistence/tokens.js';
import { preparedStatement, type PreparedStatement, type Tx } from '../../persistence/transactions.js';
import type { Look } from '../looks/look.js';
import { newTaskRunOfRow, taskRunOfRow } from '../task-runs/task-run-rows.js';
import { TaskRunEntity } from '../task-runs/task-run.entity.js';
import type {
  AdoptedTask,
  BackgroundTaskCounts,
  ClaimedTask,
  DeadLetter,
  LoadedQueuedTask,
  NewQueuedTask,
  QueueMove,
} from './task-queue-rows.js';
import {
  adoptTasks,
  claimTasks,
  enqueueTasks,
  moveTasks,
  nextDueTask,
  orphanedTasks,
  queuedRows,
  queueMoves,
} from './task-queue-statements.js';

/** Whose runs, and how many of them. */
interface TaskSelection {
  readonly processId: string;
  readonly app: string;
  readonly taskKeys: readonly string[];
  readonly limit: number;
}

interface Asking {
  query(statement: string, parameters: unknown[]): Promise<unknown>;
}

/** The task runs that wait for whoever serves them. */
@Injectable()
export class TaskQueueRepository {
  /** For a transaction that is not ours as well: see {@link enqueueParameters}. */
  readonly enqueueStatement: PreparedStatement;
  private readonly claimStatement: PreparedStatement;
  private readonly moveStatement: PreparedStatement;
  private readonly schema: string;

  constructor(@Inject(ORCHESTRATOR_DATA_SOURCE) private readonly dataSource: DataSource) {
    const schema = schemaOf(dataSource);
    this.schema = schema;
    this.enqueueStatement = preparedStatement('enqueue_tasks', enqueueTasks(schema));
    this.claimStatement = preparedStatement('claim_tasks', claimTasks(schema));
    this.moveStatement = preparedStatement('move_tasks', moveTasks(schema));
  }

  /** The parameters of {@link enqueueStatement} for these runs. */
  enqueueParameters(tasks: readonly NewQueuedTask[]): string[] {
    return queuedRows.parameters(tasks);
  }

  /**
   * Puts runs into the queue. Doing it twice changes nothing.
   *
   * @returns the ids of those that are there; the others have a key that a run of the task has already.
   */
  async enqueue(tx: Tx, tasks: readonly NewQueuedTask[]): Promise<ReadonlySet<string>> {
    const rows = await tx.query<{ id: string }>(this.enqueueStatement, this.enqueueParameters(tasks));
    return new Set(rows.map(({ id }) => id));
  }

  /**
   * Takes due runs, at most `limit`, task by task in the order of the keys.
   *
   * @param leadUs see `DatabaseClock.leadUs`.
   */
  claim(tx: Tx, { processId, app, taskKeys, limit }: TaskSelection, leadUs = 0): Promise<ClaimedTask[]> {
    return tx.query<ClaimedTask>(this.claimStatement, [processId, app, taskKeys, limit, leadUs]);
  }

  /** The runs that a process has taken. Rides `task_queue_process_idx`. */
  claimedBy(processId: string): Promise<ClaimedTask[]> {
    return this.dataSource.query<ClaimedTask[]>(
      `select task_run_id::text as id, epoch from ${this.schema}.task_queue where process_id = $1`,
      [processId],
    );
  }

  /** Milliseconds until the next run of these tasks is due, negative when it is; `null` when none waits. */
  async nextDueInMs(app: string, taskKeys: readonly string[], leadUs = 0): Promise<number | null> {
    const parameters = [app, taskKeys, leadUs];
    const rows = await this.dataSource.query<{ ms: number | null }[]>(nextDueTask(this.schema), parameters);
    return rows[0]?.ms ?? null;
  }

  /** The same as a {@link Look}. */
  lookForDue(app: string, taskKeys: readonly string[], leadUs: number): Look {
    return { text: nextDueTask(this.schema), parameters: [app, taskKeys, leadUs], finds: 'ms' };
  }

  /** Whether there are any to {@link adopt}. */
  lookForOrphans({ processId, app, taskKeys, limit }: TaskSelection): Look {
    return { text: orphanedTasks(this.schema), parameters: [processId, app, taskKeys, limit], finds: 'rows' };
  }

  /** Takes runs over from processes that are fenced or gone. */
  adopt(tx: Tx, { processId, app, taskKeys, limit }: TaskSelection): Promise<AdoptedTask[]> {
    return tx.query<AdoptedTask>(adoptTasks(this.schema), [processId, app, taskKeys, limit]);
  }

  /** Lets go of runs. @returns whether the process may write; if not, nothing was changed. */
  async move(tx: Tx, processId: string, moves: readonly QueueMove[]): Promise<boolean> {
    const parameters = [processId, ...queueMoves.parameters(moves)];
    const [answer] = await tx.query<{ held: boolean }>(this.moveStatement, parameters);
    return answer?.held ?? false;
  }

  /** Lets go of runs that stay as they are. */
  async release(tx: Tx, processId: string, tasks: readonly ClaimedTask[]): Promise<void> {
    await tx.query(
      `update ${this.schema}.task_queue q set process_id = null
         from unnest($2::uuid[], $3::integer[]) as r(id, epoch)
        where q.task_run_id = r.id and q.epoch = r.epoch and q.process_id = $1`,
      [processId, tasks.map(({ id }) => id), tasks.map(({ epoch }) => epoch)],
    );
  }

  /**
   * The run of a task that waits or is executed under that key. Rides `task_queue_key_idx`.
   *
   * @param within a transaction of somebody else, whose own runs are seen there.
   */
  async findByKey(app: string, taskKey: string, key: string, within: Asking | null = null): Promise<string | null> {
    const asking: Asking = within ?? this.dataSource;
    const rows = (await asking.query(
      `select task_run_id::text as id from ${this.schema}.task_queue
        where app = $1 and task_key = $2 and key = $3 and key is not null and dead_at is null`,
      [app, taskKey, key],
    )) as { id: string }[];
    return rows[0]?.id ?? null;
  }

  /**
   * Runs of the queue as they stand. Of their state the row tells all that the rules look at; its message is left out.
   * Rides `task_run_pkey`.
   */
  async load(ids: readonly string[]): Promise<Map<string, LoadedQueuedTask>> {
    const rows = await this.dataSource.getRepository(TaskRunEntity).findBy({ id: In([...ids]) });
    return new Map(
      rows.map((row) => {
        const run = { ...taskRunOfRow(row, null), state: stateOf(row) };
        return [row.id, { created: newTaskRunOfRow(row), run, parameters: row.parameters ?? '{}' }];
      }),
    );
  }

  /** Goes through all that waits, which takes its time where that is much. */
  countByTask(app: string): Promise<BackgroundTaskCounts[]> {
    return this.dataSource.query<BackgroundTaskCounts[]>(
      `select task_key as "taskKey",
              count(*) filter (where process_id is null and dead_at is null) as queued,
              count(*) filter (where process_id is not null) as running,
              count(*) filter (where dead_at is not null) as "deadLetters"
         from ${this.schema}.task_queue where app = $1 group by task_key order by task_key`,
      [app],
    );
  }

  /** Takes a dead letter, as if nobody had died of it; `null` when it is none. */
  async takeDeadLetter(tx: Tx, processId: string, app: string, taskRunId: string): Promise<ClaimedTask | null> {
    const rows = await tx.query<ClaimedTask>(
      `update ${this.schema}.task_queue
          set process_id = $1, epoch = epoch + 1, recoveries = 0, key = null, dead_at = null
        where task_run_id = $2 and app = $3 and dead_at is not null
       returning task_run_id::text as id, epoch`,
      [processId, taskRunId, app],
    );
    return rows[0] ?? null;
  }

  /** Takes dead letters out of the queue; their runs stay as they are. @returns how many there were. */
  async discard(tx: Tx, app: string, taskRunIds: readonly string[]): Promise<number> {
    const rows = await tx.query(
      `delete from ${this.schema}.task_queue
        where task_run_id = any($1::uuid[]) and app = $2 and dead_at is not null returning task_run_id`,
      [taskRunIds, app],
    );
    return rows.length;
  }

  /** A page of dead letters, newest first. Rides `task_queue_dead_idx`. */
  deadLetters(app: string, { limit, before }: { limit: number; before?: string }): Promise<DeadLetter[]> {
    return this.dataSource.query<DeadLetter[]>(
      `select t.id::text as "taskRunId", t.name, t.task_key as "taskKey", t.state_type as "stateType",
              t.state_name as "stateName", s.message, t.run_count as "runCount", q.dead_at as "deadSince"
         from ${this.schema}.task_queue q
         join ${this.schema}.task_run t on t.id = q.task_run_id
         left join ${this.schema}.task_run_state s on s.task_run_id = t.id and s.timestamp = t.state_timestamp
        where q.app = $1 and q.dead_at is not null and ($2::uuid is null or q.task_run_id < $2::uuid)
        order by q.task_run_id desc
        limit $3`,
      [app, before ?? null, limit],
    );
  }
}

function stateOf(row: TaskRunEntity): State | null {
  const { stateId, stateType, stateName, stateTimestamp, nextScheduledStartTime } = row;
  if (stateId === null || stateType === null || stateTimestamp === null) return null;
  const isScheduled = stateType === StateType.Scheduled && nextScheduledStartTime !== null;
  const details = isScheduled ? { scheduledTime: nextScheduledStartTime } : {};
  return {
    id: stateId,
    type: stateType,
    name: stateName ?? stateType,
    message: null,
    timestamp: stateTimestamp,
    details,
  };
}

import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { RunColumns, stateTypeCheck } from '../run-columns.js';

/** One execution of a flow. Partitioned by `id`. */
@Entity('flow_run')
@Check('flow_run_state_type_check', stateTypeCheck('state_type'))
@Index('flow_run_flow_idx', ['flowId', 'id'])
@Index('flow_run_expected_start_idx', ['expectedStartTime', 'id'])
@Index('flow_run_due_idx', ['nextScheduledStartTime', 'id'], { where: `state_type = 'SCHEDULED'` })
@Index('flow_run_free_idx', ['app', 'priority', 'nextScheduledStartTime', 'id'], {
  where: `state_type = 'SCHEDULED' and process_id is null and not awaits_turn and work_queue_id is null and fair_line_id is null`,
})
@Index('flow_run_queued_idx', ['workQueueId', 'priority', 'nextScheduledStartTime', 'id'], {
  where: `state_type = 'SCHEDULED' and process_id is null and not awaits_turn and work_queue_id is not null and fair_line_id is null`,
})
@Index('flow_run_line_idx', ['fairLineId', 'nextScheduledStartTime', 'id'], {
  where: `state_type = 'SCHEDULED' and process_id is null and not awaits_turn and fair_line_id is not null`,
})
@Index('flow_run_occupying_idx', ['workQueueId'], {
  where: `work_queue_id is not null and (process_id is not null or state_type in ('PENDING', 'RUNNING', 'CANCELLING'))`,
})
@Index('flow_run_active_idx', ['stateType', 'id'], {
  where: `state_type in ('PENDING', 'RUNNING', 'CANCELLING', 'PAUSED')`,
})
@Index('flow_run_process_idx', ['processId', 'id'], { where: 'process_id is not null' })
@Index('flow_run_deployment_idx', ['deploymentId', 'id'], { where: 'deployment_id is not null' })
@Index('flow_run_schedule_idx', ['scheduleId', 'nextScheduledStartTime', 'id'], {
  where: `schedule_id is not null and state_type in ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')`,
})
@Index('flow_run_root_idx', ['rootFlowRunId'], { where: 'parent_task_run_id is not null' })
@Index('flow_run_parent_idx', ['parentTaskRunId'], { where: 'parent_task_run_id is not null' })
export class FlowRunEntity extends RunColumns {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'flow_run_pkey' })
  id!: string;

  @Column('uuid')
  flowId!: string;

  /** The application whose processes may run it; several may share a schema. */
  @Column('text', { default: 'default' })
  app!: string;

  /** The run at the top of the tree this one belongs to; itself when nobody called it. */
  @Column('uuid')
  rootFlowRunId!: string;

  /** The task run that stands for this run in the flow that called it. */
  @Column('uuid', { nullable: true })
  parentTaskRunId!: string | null;

  @Column('uuid', { nullable: true })
  deploymentId!: string | null;

  @Column('text', { nullable: true })
  deploymentVersion!: string | null;

  @Column('uuid', { nullable: true })
  workQueueId!: string | null;

  @Column('text', { nullable: true })
  workQueueName!: string | null;

  /** Of the runs that are due, the lowest goes first. */
  @Column('smallint', { default: 0, comment: 'Of the runs that are due, the lowest goes first.' })
  priority!: number;

  @Column('text', { nullable: true })
  flowVersion!: string | null;

  @Column('text', { nullable: true })
  buildId!: string | null;

  @Column('text', {
    nullable: true,
    comment: 'The build of the code that began it, where no other may go on with it.',
  })
  pinnedBuildId!: string | null;

  /** The version of the encoding of parameters, results and replay keys of the whole run. */
  @Column('smallint', { default: 1 })
  encodingVersion!: number;

  /** Encoded, by name. */
  @Column('json', { default: () => "'{}'" })
  parameters!: string;

  @Column('text', { nullable: true })
  idempotencyKey!: string | null;

  @Column('jsonb', { default: () => "'{}'" })
  context!: Record<string, unknown>;

  @Column('jsonb', { nullable: true })
  createdBy!: Record<string, unknown> | null;

  @Column('text', { nullable: true })
  infrastructurePid!: string | null;

  @Column('uuid', { nullable: true })
  infrastructureDocumentId!: string | null;

  @Column('jsonb', { nullable: true })
  jobVariables!: Record<string, unknown> | null;

  @Column('boolean', { default: false })
  autoScheduled!: boolean;

  /** The process that executes the run; on root runs only, and only while they are executed. */
  @Column('uuid', { nullable: true })
  processId!: string | null;

  /** Grows with every change of holder; what an earlier holder still writes is refused by it. */
  @Column('integer', { default: 0 })
  leaseEpoch!: number;

  /** The schedule that made it; `null` of runs that somebody asked for. */
  @Column('uuid', { nullable: true })
  scheduleId!: string | null;

  @Column('boolean', {
    default: false,
    comment: 'Its schedule lets no two runs go on at once: nobody claims this one until it has been given its turn.',
  })
  awaitsTurn!: boolean;

  /** Runs with the same key, of the same deployment or flow, share a line where they wait. */
  @Column('text', { nullable: true })
  fairnessKey!: string | null;

  /** Of a run with a key: how many turns its line gets for one of a line with weight 1. */
  @Column('double precision', { nullable: true })
  fairnessWeight!: number | null;

  @Column('uuid', {
    nullable: true,
    comment:
      'The line in which it waits to be taken for the first time; after that it goes on without waiting for a turn.',
  })
  fairLineId!: string | null;
}

import type { Instant, StateType } from '@nestor/core';
import type { OtherRun, SlotHolder } from '../../records/flow-runs/run-situations.repository.js';

/** A process, as it is named to people. */
export interface NamedProcess {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly buildId: string | null;
}

interface Reason<Code extends string, Data extends object> {
  /** Stable, for programs. */
  readonly code: Code;
  /** For people, with what they may do about it. */
  readonly message: string;
  /** Whether the run would go on, or be a step nearer to it, without this; otherwise it is only good to know. */
  readonly blocks: boolean;
  readonly data: Data;
}

interface AwaitedSlots {
  readonly limit: string;
  /** What the limit allows. */
  readonly allowed: number;
  /** How many it waits for. */
  readonly slots: number;
  readonly ahead: number;
  /** The task whose code waits; `null` for the run itself, or its own code. */
  readonly taskRunId: string | null;
}

/** Why a run is not running, or what it does instead. Instants are microseconds since the epoch. */
export type RunReason =
  /** It is over. */
  | Reason<'ENDED', { stateType: StateType; stateName: string; at: Instant | null; message: string | null }>
  /** It is running after all, or about to be; `state` says which. */
  | Reason<'RUNNING', { process: NamedProcess; state: StateType; since: Instant | null }>
  /** Another run called it, and goes on first. */
  | Reason<'PART_OF_RUN', { rootFlowRunId: string }>
  /** Its process gives no sign; others take the run over at the latest then. */
  | Reason<'PROCESS_LATE', { process: NamedProcess; heartbeatAt: Instant; takenOverBy: Instant }>
  /** Its process is gone; whoever has its flow takes it over with the next look. */
  | Reason<'PROCESS_GONE', { processId: string }>
  | Reason<'SCHEDULED_LATER', { until: Instant }>
  /** Its last attempt failed; the next one begins then. */
  | Reason<'AWAITING_RETRY', { at: Instant; attempt: number }>
  /** Somebody has to resume it, or to give what it asks for. */
  | Reason<'PAUSED', { leftProcess: boolean; key: string | null; asksFor: unknown; until: Instant | null }>
  /** Its schedule lets no two runs go on at once, and these come first. */
  | Reason<'AWAITING_TURN', { scheduleId: string; behind: readonly OtherRun[] }>
  /** No further runs are made; this one is there already. */
  | Reason<
      'DEPLOYMENT_PAUSED',
      { deploymentId: string; deployment: string; because: 'asked' | 'removed' | 'away' | null }
    >
  | Reason<'SCHEDULE_INACTIVE', { scheduleId: string; deploymentId: string }>
  /** The queue in which it waits was deleted. */
  | Reason<'QUEUE_GONE', { workQueueId: string; workQueueName: string | null }>
  | Reason<'POOL_PAUSED', { pool: string }>
  | Reason<'QUEUE_PAUSED', { pool: string; queue: string }>
  /** All that the limit of its pool allows are taken by these. */
  | Reason<'POOL_FULL', { pool: string; limit: number; heldBy: readonly OtherRun[] }>
  | Reason<'QUEUE_FULL', { pool: string; queue: string; limit: number; heldBy: readonly OtherRun[] }>
  /** It, or a task of it, waits for slots of a limit, which these have; `ahead` others have waited longer. */
  | Reason<'AWAITING_SLOTS', AwaitedSlots & { heldBy: readonly SlotHolder[] }>
  /** It, or a task of it, waits for a rate, which has room for it then. */
  | Reason<'AWAITING_RATE', AwaitedSlots & { refillsAt: Instant }>
  /** No process of its application lives. */
  | Reason<'NO_PROCESS', { app: string }>
  /** Processes of its application live, and none has its flow. */
  | Reason<'FLOW_NOT_REGISTERED', { app: string; flow: string; processes: readonly NamedProcess[] }>
  /** It goes on in the build that began it, and no process of that lives. */
  | Reason<'BUILD_NOT_RUNNING', { buildId: string; running: readonly (string | null)[] }>
  /** Processes that have its flow live, and none takes runs from where it waits. */
  | Reason<'NO_WORKER', { app: string; pool: string | null; queue: string | null; processes: readonly NamedProcess[] }>
  /** All that could take it execute as many as they take at a time. */
  | Reason<'WORKERS_BUSY', { processes: readonly (NamedProcess & { runs: number; limit: number })[] }>
  /** Who is to see to it has not looked for too long: what is due for these loops of these processes, since then. */
  | Reason<'LOOP_BEHIND', { loops: readonly (NamedProcess & { loop: string; since: Instant })[] }>
  /** So many due runs of its key go first, and so many other keys have turns where it waits; 1,000 stands for as many or more. */
  | Reason<'AWAITING_SHARE', { key: string; ahead: number; keys: number }>
  /** So many that are due go first where it waits; 1,000 stands for as many or more. */
  | Reason<'OTHERS_FIRST', { count: number }>
  /** Nothing is in its way: one of these takes it with its next look, within five seconds. */
  | Reason<'DUE', { since: Instant | null; processes: readonly NamedProcess[] }>;

/** All that there is to say about why a run is not running, the most telling first. */
export interface RunDiagnosis {
  readonly flowRunId: string;
  readonly name: string;
  readonly flowName: string;
  readonly stateType: StateType | null;
  readonly stateName: string | null;
  /** Never empty. */
  readonly reasons: readonly RunReason[];
}

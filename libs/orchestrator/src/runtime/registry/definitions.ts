import type { CachePolicy, RetryPolicy } from '@nestor/core';
import type { NewFlowRun } from '../../records/flow-runs/flow-run-rows.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import type { DeploymentSpec } from '../deployments/deployment-spec.js';
import type { HookLists } from '../hooks/hook-lists.js';
import type { FlowParameters } from '../parameters/flow-parameters.js';
import type { OnDivergence } from '../replay/replay.js';
import type { TransactionHooks } from '../transactions/transaction-hooks.js';
import type { TransactionSettings } from '../transactional/transaction-settings.js';

/** A class whose instances carry decorated methods. */
export type ProviderClass = abstract new (...args: never[]) => object;

/** The undecorated method, called with its instance as `this`. */
export type AuthoredMethod = (this: object, ...args: unknown[]) => Promise<unknown>;

/** An attempt that failed, as a condition sees it. */
export interface FailedAttempt<Args extends readonly unknown[]> {
  /** Counts from 1. */
  readonly attempt: number;
  readonly args: Args;
  readonly runName: string;
}

/** Whether a failure is worth another attempt. */
export type FailureCondition<Args extends readonly unknown[] = never> = (
  error: unknown,
  failed: FailedAttempt<Args>,
) => boolean | Promise<boolean>;

/** How the outcome of a task is remembered across runs. */
export interface TaskCaching {
  readonly policy: CachePolicy;
  /** `null`: until it is replaced. */
  readonly expirationMs: number | null;
  /** Whether the task runs although its outcome is remembered, and replaces that; `null` leaves it to the module. */
  readonly refresh: boolean | null;
  /** Whether of several calls with the same key one runs and the others wait for its outcome. */
  readonly isSerialized: boolean;
}

/** What a call may change about a definition: see `withOptions`. */
export interface RunSettings {
  /** `null` for a task whose outcomes are not remembered, and for flows. */
  readonly caching: TaskCaching | null;
  /** Whether results are kept with their runs; `null` leaves it to the flow around, and to the module. */
  readonly persistResult: boolean | null;
  readonly policy: RetryPolicy;
  /** `null` when every failure is worth another attempt. */
  readonly retryCondition: FailureCondition | null;
  /** `null` when it may take as long as it likes. */
  readonly timeoutMs: number | null;
  readonly tags: readonly string[];
  /** What a run is called; `null` for the default. */
  readonly runName: ((args: readonly unknown[]) => string) | null;
  /** Whether what it prints goes to its log; `null` for what its caller says. */
  readonly captureConsole: boolean | null;
}

/** A flow run, as this process has it or as its row says. */
export interface KnownFlowRun {
  readonly created: NewFlowRun;
}

/** A task run of which it is known what it was created with. */
export interface KnownTaskRun {
  readonly created: NewTaskRun;
}

/** A decorated method with its options resolved: what the engine needs to run it. */
interface Definition extends RunSettings {
  /** Unique among flows, or among the tasks of its provider. */
  readonly name: string;
  readonly provider: ProviderClass;
  readonly methodName: string;
  readonly method: AuthoredMethod;
  /** Calls the method for an attempt, with the guards, interceptors, pipes and filters that are around it. */
  readonly invoke: (receiver: object, args: readonly unknown[]) => Promise<unknown>;
  /**
   * Gives an instance when nobody called a method of one: injected and, if so scoped, made for that flow run; `null` outside
   * any.
   */
  readonly receiver: (flowRun: KnownFlowRun | null) => Promise<object>;
  readonly description: string | null;
  readonly version: string;
  /** Tells the source of the method apart. */
  readonly source: string;
  /** `null` when it has none. */
  readonly hooks: HookLists | null;
}

export interface FlowDefinition extends Definition {
  readonly kind: 'flow';
  /** `undefined` leaves it to the build: see `Replays`. */
  readonly onDivergence: OnDivergence | undefined;
  /** Whether a run that has begun is for that build of the code alone. */
  readonly pinToBuild: boolean;
  readonly parameters: FlowParameters;
  /** What it declares: see `DeclaredDeployments`. */
  readonly deployments: readonly DeploymentSpec[];
}

export interface TaskDefinition extends Definition {
  readonly kind: 'task';
  /** The name qualified by the provider: what a replayed call is recognised by. */
  readonly taskKey: string;
  /** For messages: `task "Orders.ship"`. */
  readonly subject: string;
  /** The version that was given, which every run of it carries; `null` where it is only told by the source. */
  readonly givenVersion: string | null;
  /** Gives an instance to execute a run on that was taken from the queue: injected, made for the run if so scoped. */
  readonly queuedReceiver: (taskRun: KnownTaskRun, args: readonly unknown[]) => Promise<object>;
  /** `null` when it has none. */
  readonly transactionHooks: TransactionHooks | null;
  /** Whether it must run at most once. */
  readonly recordStart: boolean;
  /** The transactions it runs in; `null` where it does not. */
  readonly transactional: TransactionSettings | null;
}

/** `DependencyAudit.audit`: where a definition was written, for messages. */
export function placeOf({ provider, methodName }: { provider: { name: string }; methodName: string }): string {
  return `${provider.name}.${methodName}`;
}

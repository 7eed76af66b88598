import { AsyncLocalStorage } from 'node:async_hooks';
import type { Instant } from '@nestor/core';
import type { SlotBlocking } from '../concurrency/slot-blocking.js';
import type { PauseRequest } from '../inputs/pause-request.js';
import type { ArrivedInput, ExpectedInput, SendInputOptions } from '../inputs/run-input.js';
import type { LiveFlowRun, LiveTaskRun } from '../transitions/live-run.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import type { Attempt } from './attempt.js';
import type { Replay } from '../replay/replay.js';
import type { AttemptTransaction } from '../transactional/attempt-transaction.js';
import type { PauseGate } from './pause-gate.js';
import { Branch } from './branch.js';
import { stackOf } from './outcome.js';
import { LogLevel } from './run-logs.js';

/** What the code of a run may ask of the engine it runs in. */
export interface ScopeServices {
  /** Adds a line to the log of a run. */
  readonly log: (scope: RunScope, level: number, message: string) => void;
  /** The database's time. */
  readonly clock: () => Date;
  /** Resolves at an instant of that time, or as soon as the signal of the attempt that waits fires. */
  readonly waitUntil: (instant: Instant, signal: AbortSignal) => Promise<void>;
  readonly outcomes: KeyedOutcomes;
  /** Slots of concurrency limits. */
  readonly slots: SlotBlocking;
  /** Keeps a value that a flow run drew, encoded. */
  readonly keepValue: (flowRun: LiveFlowRun, key: string, value: string) => void;
  /** Pauses the flow run whose body asks for it; gives the answer. */
  readonly pause: (scope: RunScope, request: PauseRequest) => Promise<unknown>;
  /** The next input of a flow run; `null` when none comes in time. */
  readonly receive: (scope: RunScope, expected: ExpectedInput) => Promise<ArrivedInput | null>;
  /** Notes that the body of a flow waits, until the function that is returned is called: see `RunWaits.begin`. */
  readonly beginWait: (flowRun: LiveFlowRun, leavesUntil: Date | null) => () => void;
  /** Sends a flow run an input. */
  readonly send: (flowRunId: string, value: unknown, options: SendInputOptions) => Promise<void>;
  /** Is told of every call that code of a run makes, under its key; for tests, which look at inputs that are not kept. */
  readonly noteCall?: (scope: RunScope, taskKey: string, dynamicKey: string, args: readonly unknown[]) => void;
}

/** What is remembered across runs under the key of a transaction. */
export interface KeyedOutcomes {
  /** What was committed under the key; `null` when nothing was. The same again when the run is replayed. */
  readonly find: (scope: RunScope, key: string) => Promise<{ readonly value: unknown } | null>;
  readonly remember: (scope: RunScope, key: string, value: unknown) => Promise<void>;
  /** Waits for the lock of the key; gives how to let go of it. */
  readonly lock: (scope: RunScope, key: string) => Promise<() => Promise<void>>;
}

/** Where the code of a run stands. */
interface Place {
  readonly engine: CallEngine;
  /** `null` in a task that was called outside any flow. */
  readonly flowRun: LiveFlowRun | null;
  readonly flowName: string | null;
  /** What the flow run was called with, by name; `null` outside flows. */
  readonly parameters: Readonly<Record<string, unknown>> | null;
  /** The innermost task run; `null` in the body of a flow. */
  readonly taskRun: LiveTaskRun | null;
  readonly attempt: Attempt;
  /** What is recorded of the flow run from before; `null` when it has just begun. */
  readonly replay: Replay | null;
  /** Closed while the flow run is paused; `null` outside flows. */
  readonly gate: PauseGate | null;
  /** Whether results of tasks are kept that say nothing about it. */
  readonly persistResults: boolean;
  /** Whether what it prints to the console goes to its log. */
  readonly capturesConsole: boolean;
  readonly services: ScopeServices;
  /** The transaction of the application that the code is in: only within a transactional task. */
  readonly transaction?: AttemptTransaction | null;
}

/** What surrounds the code of a run: which run it is, which attempt, and which engine its calls go to. */
export class RunScope {
  constructor(
    readonly place: Place,
    private ownBranch: Branch | null = null,
  ) {}

  get engine(): CallEngine {
    return this.place.engine;
  }

  get flowRun(): LiveFlowRun | null {
    return this.place.flowRun;
  }

  get attempt(): Attempt {
    return this.place.attempt;
  }

  get transaction(): AttemptTransaction | null {
    return this.place.transaction ?? null;
  }

  /**
   * The part of the run whose calls are told apart from those of others. Made when something is called:
   * most tasks call nothing.
   */
  get branch(): Branch {
    const { taskRun, attempt } = this.place;
    return (this.ownBranch ??= taskRun ? Branch.ofTask(taskRun.created, attempt.number) : Branch.ofFlow());
  }

  /** The same place in another branch. */
  within(branch: Branch): RunScope {
    return new RunScope(this.place, branch);
  }

  log(level: number, message: string): void {
    this.place.services.log(this, level, message);
  }

  logError(message: string, error: unknown): void {
    this.log(LogLevel.Error, `${message} ${stackOf(error)}`);
  }
}

const scopes = new AsyncLocalStorage<RunScope>();

/** The scope of the code that asks, `undefined` outside any run. */
export function currentScope(): RunScope | undefined {
  return scopes.getStore();
}

/** Runs `work` so that it, and whatever it awaits, finds `scope`. */
export function withScope<T>(scope: RunScope, work: () => T): T {
  return scopes.run(scope, work);
}

/** Runs `work` outside any run: what it calls is no part of the run that asks. */
export function outsideAnyScope<T>(work: () => T): T {
  return scopes.exit(work);
}

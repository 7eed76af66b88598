import { AsyncLocalStorage } from 'node:async_hooks';
import type { LiveFlowRun, LiveTaskRun } from '../transitions/live-run.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import type { Attempt } from './attempt.js';
import type { Replay } from '../replay/replay.js';
import type { PauseGate } from './pause-gate.js';
import type { Branch } from './branch.js';

/** What surrounds the code of a run: which run it is, which attempt, and which engine its calls go to. */
export interface RunScope {
  readonly engine: CallEngine;
  /** `null` in a task that was called outside any flow. */
  readonly flowRun: LiveFlowRun | null;
  readonly flowName: string | null;
  /** The innermost task run; `null` in the body of a flow. */
  readonly taskRun: LiveTaskRun | null;
  readonly attempt: Attempt;
  /** What is recorded of the flow run from before; `null` when it has just begun. */
  readonly replay: Replay | null;
  /** Closed while the flow run is paused; `null` outside flows. */
  readonly gate: PauseGate | null;
  readonly branch: Branch;
  readonly log: (level: number, message: string) => void;
  /** The database's time. */
  readonly clock: () => Date;
  /** Keeps a value that the flow run drew, encoded. */
  readonly keepValue: (flowRun: LiveFlowRun, key: string, value: string) => void;
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

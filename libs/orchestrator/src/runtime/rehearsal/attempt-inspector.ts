import { Injectable } from '@nestjs/common';
import type { Attempt } from '../engine/attempt.js';
import type { Outcome } from '../engine/outcome.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import type { ReplayDivergedError } from '../replay/replay-diverged.error.js';
import type { LiveFlowRun } from '../transitions/live-run.js';

/** An attempt of a flow whose body has settled, before what came of it is proposed. */
export interface SettledAttempt {
  readonly live: LiveFlowRun;
  readonly flowName: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly engine: CallEngine;
  /** Whether results of its tasks are kept that say nothing about it. */
  readonly persistResults: boolean;
  readonly outcome: Exclude<Outcome, { kind: 'cut-off' }>;
  /** Runs the body once more, on the same instance and with its arguments anew. */
  readonly perform: (within: Attempt) => Promise<unknown>;
}

/**
 * Looks at attempts that have settled. This one does not: `nestor/testing` puts one in its place that lets bodies begin again,
 * to see whether they are deterministic.
 *
 * @internal
 */
@Injectable()
export class AttemptInspector {
  /** Why the attempt is to fail, whatever came of it; `null` when it is not. */
  inspect(_attempt: SettledAttempt): Promise<ReplayDivergedError | null> | null {
    return null;
  }
}

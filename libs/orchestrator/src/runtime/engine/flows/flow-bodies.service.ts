import { failed, OrchestratorError } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { ENGINE_SETTINGS, type EngineSettings } from '../../engine-settings.js';
import { ProcessLease } from '../../leases/process-lease.service.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { CallEngine } from '../../registry/engine-bindings.js';
import { AttemptInspector } from '../../rehearsal/attempt-inspector.js';
import type { Replay } from '../../replay/replay.js';
import { RunParameters } from '../../references/run-parameters.service.js';
import { TransitionService } from '../../transitions/transition.service.js';
import type { ActiveFlowRun } from '../active-flow-runs.js';
import type { Attempt } from '../attempt.js';
import { capturesConsole } from '../console-capture.js';
import { failureMessage, outcomeOf, type Outcome } from '../outcome.js';
import { argumentsOf, callWithParameters } from '../parameters.js';
import { RunScope, withScope } from '../run-scope.js';
import { EngineScopeServices } from '../scope-services.js';
import { persistsResult, type FlowExecution } from './flow-execution.js';

/**
 * Runs bodies of flows, each once, in the scope of the run; and sees whether a body that ran again
 * did what is recorded of it.
 */
@Injectable()
export class FlowBodies {
  constructor(
    private readonly transitions: TransitionService,
    private readonly parameters: RunParameters,
    private readonly process: ProcessLease,
    private readonly payloads: Payloads,
    private readonly services: EngineScopeServices,
    private readonly inspector: AttemptInspector,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  async attempt(
    { live, definition, receiver }: FlowExecution,
    active: ActiveFlowRun,
    attempt: Attempt,
    replay: Replay | null,
    engine: CallEngine,
  ): Promise<Outcome> {
    // Every attempt gets what is recorded, the first one too: what would differ in a resumed run differs at once.
    const argumentsAnew = async (): Promise<unknown[]> =>
      argumentsOf(await this.parameters.opened(await this.parameters.recorded(live)));
    const recorded = await this.parameters.recorded(live);
    let parameters: Record<string, unknown>;
    try {
      parameters = await this.parameters.opened(recorded);
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      return finalFailure(error); // what they refer to is not there, and will not be in a second
    }
    const scope = new RunScope({
      engine,
      flowRun: live,
      flowName: definition.name,
      parameters,
      taskRun: null,
      attempt,
      replay,
      gate: active.gate,
      persistResults: persistsResult(definition, this.settings.persistResults),
      capturesConsole: capturesConsole(definition),
      services: this.services,
    });
    const args = argumentsOf(parameters);
    const body = {
      subject: `flow "${definition.name}"`,
      runId: live.created.id,
      run: () => callWithParameters(definition, receiver, args, attempt),
      timeoutMs: definition.timeoutMs,
      clearance: this.process.clearance,
    };
    const outcome = await withScope(scope, () => outcomeOf(body, attempt, this.payloads, this.transitions.callAfter));
    if (outcome.kind === 'cut-off') return outcome;
    const perform = async (within: Attempt): Promise<unknown> =>
      callWithParameters(definition, receiver, await argumentsAnew(), within);
    const { persistResults } = scope.place;
    const settled = { live, flowName: definition.name, parameters, engine, persistResults, outcome, perform };
    const diverged = replay?.diverged ?? (await this.inspector.inspect(settled));
    if (!diverged) return outcome;
    // Whatever the body made of the error: a run that diverged did not do what it is recorded to have done.
    return finalFailure(diverged);
  }
}

/** It is not tried again. */
function finalFailure(error: unknown): Outcome {
  const state = failed({ message: failureMessage(error), details: { retriable: false } });
  return { kind: 'threw', error, timedOut: false, state };
}

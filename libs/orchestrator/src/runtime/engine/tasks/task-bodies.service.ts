import { Inject, Injectable } from '@nestjs/common';
import { ENGINE_SETTINGS, type EngineSettings } from '../../engine-settings.js';
import { ProcessLease } from '../../leases/process-lease.service.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { AttemptTransaction } from '../../transactional/attempt-transaction.js';
import { TransactionalAttempts } from '../../transactional/transactional-attempts.service.js';
import { TransitionService } from '../../transitions/transition.service.js';
import { Attempt } from '../attempt.js';
import { capturesConsole } from '../console-capture.js';
import { outcomeOf, type Outcome } from '../outcome.js';
import { RunScope, withScope } from '../run-scope.js';
import { EngineScopeServices } from '../scope-services.js';
import { persistsResult, type Begun } from './task-call.js';
import { COMPLETED, TaskRunStates } from './task-run-states.service.js';

/**
 * Runs bodies of tasks, each once: in the scope of the run, and within a transaction of the application
 * where the task asks for one.
 */
@Injectable()
export class TaskBodies {
  constructor(
    private readonly states: TaskRunStates,
    private readonly transitions: TransitionService,
    private readonly transactional: TransactionalAttempts,
    private readonly payloads: Payloads,
    private readonly process: ProcessLease,
    private readonly services: EngineScopeServices,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** One attempt. Where the task is transactional and its outcome is `returned`, that is recorded; otherwise nothing is. */
  attempt(begun: Begun): Promise<Outcome> {
    const { transactional } = begun.execution.task;
    if (!transactional) return this.run(begun, null, null);
    return this.transactional.attempt(transactional, {
      live: begun.live,
      run: (transaction, begin) => this.run(begun, transaction, begin),
      complete: ({ state, stored }) => this.states.propose(begun, state ?? COMPLETED, stored),
    });
  }

  /** @param begin called before the body. */
  private run(
    { execution, live }: Begun,
    transaction: AttemptTransaction | null,
    begin: (() => Promise<void>) | null,
  ): Promise<Outcome> {
    const { task, caller, engine, around, body } = execution;
    const attempt = new Attempt(live.created.name, live.image.runCount, around);
    const scope = new RunScope({
      engine,
      flowRun: caller?.flowRun ?? null,
      flowName: caller?.place.flowName ?? null,
      parameters: caller?.place.parameters ?? null,
      replay: caller?.place.replay ?? null,
      gate: caller?.place.gate ?? null,
      persistResults: persistsResult(task, caller, this.settings.persistResults),
      taskRun: live,
      attempt,
      capturesConsole: capturesConsole(task),
      services: this.services,
      transaction,
    });
    const run = {
      subject: task.subject,
      runId: live.created.id,
      run: begin ? () => begin().then(() => body(live, execution.args)) : () => body(live, execution.args),
      timeoutMs: task.timeoutMs,
      clearance: caller?.flowRun || live.queue ? this.process.clearance : null,
    };
    return withScope(scope, () => outcomeOf(run, attempt, this.payloads, this.transitions.callAfter));
  }
}

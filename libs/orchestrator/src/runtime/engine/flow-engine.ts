import {
  addMs,
  cancelled,
  completed,
  crashed,
  encodingVersion,
  failed,
  pending,
  running,
  StateType,
  timedOut,
  type State,
} from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { derivedId, newId } from '../../persistence/ids.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import type { LiveFlowRun, LiveTaskRun } from '../transitions/live-run.js';
import { TransitionService, type Answer } from '../transitions/transition.service.js';
import { Attempt } from './attempt.js';
import { Branch } from './branch.js';
import { ENGINE_SETTINGS, type EngineSettings } from './engine-settings.js';
import { RunCancelledError, RunCrashedError, type RunEndedError } from './engine-errors.js';
import { failureMessage, outcomeOf, type Outcome } from './outcome.js';
import type { NewRunOptions } from './new-run-options.js';
import { parametersOf } from './parameters.js';
import { LogLevel, RunLogs, type LogSource } from './run-logs.js';
import { nameOfRun } from './run-names.js';
import { withScope, type RunScope } from './run-scope.js';
import { waitUntil } from './wait-until.js';

/** Where a subflow is called, and the task run that stands for it there. */
interface SubflowCall {
  readonly caller: RunScope;
  readonly trackingTask: LiveTaskRun;
}

/** A flow run on its way: what to run it with. */
export interface FlowExecution {
  readonly live: LiveFlowRun;
  readonly definition: FlowDefinition;
  readonly receiver: object;
  readonly args: readonly unknown[];
}

/** Runs flows: creates them, takes them through their states, and settles as their bodies do. */
@Injectable()
export class FlowEngine {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly transitions: TransitionService,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Creates a run in `PENDING`; it is durable, and will not be lost, when this resolves. */
  async create(
    definition: FlowDefinition,
    args: readonly unknown[],
    options: NewRunOptions = {},
    call?: SubflowCall,
  ): Promise<LiveFlowRun> {
    const subject = `parameters of flow "${definition.name}"`;
    const encoded = this.payloads.encode(parametersOf(args, this.payloads.classes), subject);
    const id = call ? subflowId(call) : newId();
    const sealed = this.payloads.seal(encoded, { runId: id, subject });
    const parameters = typeof sealed === 'string' ? sealed : await sealed;
    return this.transitions.createFlowRun(
      {
        id,
        flowId: this.registry.flowId(definition.name),
        app: this.settings.app,
        rootFlowRunId: call?.caller.flowRun?.created.rootFlowRunId ?? id,
        parentTaskRunId: call?.trackingTask.created.id ?? null,
        name: options.name ?? nameOfRun(id),
        parameters,
        tags: options.tags ?? [],
        buildId: this.settings.buildId,
        encodingVersion,
      },
      definition.policy,
      pending(),
    );
  }

  /**
   * Runs a created flow to its end, retries included.
   *
   * @param around the attempt that called it; when that ends, so does this run.
   * @returns the returned value as it was recorded.
   * @throws what the body threw: the error itself, because whoever called is not replayed.
   * @throws {RunCancelledError} when somebody cancelled the run.
   * @throws {RunCrashedError} when it ended for another reason than its own code.
   */
  async execute(execution: FlowExecution, engine: CallEngine, around: Attempt): Promise<unknown> {
    const { live } = execution;
    for (;;) {
      const attempt = await this.begin(live, around);
      const outcome = await this.attempt(execution, attempt, engine);
      if (outcome.kind === 'returned') {
        const answer = await this.transitions.proposeForFlowRun(live, completed(), { result: outcome.stored });
        if (answer.state?.type === StateType.Completed) return this.payloads.decode(outcome.encoded);
        throw await this.endedOtherwise(live, answer.state);
      }
      if (outcome.kind === 'cut-off') throw await this.crash(live, outcome.error);
      this.logFailure(live, outcome.error);
      const answer = await this.fail(live, outcome);
      if (answer.state?.type === StateType.Failed) throw outcome.error;
      if (answer.state?.type !== StateType.Scheduled) throw await this.endedOtherwise(live, answer.state);
    }
  }

  /** Enters `RUNNING`, waiting for the scheduled time if there is one. */
  private async begin(live: LiveFlowRun, around: Attempt): Promise<Attempt> {
    for (;;) {
      if (around.ended) throw await this.crash(live, around.ended);
      // The attempt is known to the caller of the answer that supersedes this one.
      const started: { attempt?: Attempt } = {};
      const answer = this.transitions.proposeInPassing(live, running(), ({ state }) => {
        if (state?.type !== StateType.Running) started.attempt?.end(`it is ${state?.name ?? 'gone'}`);
      });
      if (answer.verdict.kind === 'wait') {
        const until = addMs(this.transitions.now(), answer.verdict.retryAfterMs);
        await waitUntil(until, this.transitions.now, around.signal);
        continue;
      }
      if (answer.state?.type !== StateType.Running) throw await this.endedOtherwise(live, answer.state);
      started.attempt = new Attempt(live.created.name, live.image.runCount, around);
      return started.attempt;
    }
  }

  private attempt(
    { live, definition, receiver, args }: FlowExecution,
    attempt: Attempt,
    engine: CallEngine,
  ): Promise<Outcome> {
    const source = sourceOf(live);
    const scope: RunScope = {
      engine,
      flowRun: live,
      flowName: definition.name,
      taskRun: null,
      attempt,
      branch: new Branch(''),
      log: (level, message) => this.logs.append(source, level, message),
    };
    const body = {
      subject: `flow "${definition.name}"`,
      runId: live.created.id,
      run: () => definition.method.apply(receiver, [...args]),
      timeoutMs: definition.timeoutMs,
    };
    return withScope(scope, () => outcomeOf(body, attempt, this.payloads));
  }

  private async fail(live: LiveFlowRun, outcome: Outcome & { kind: 'threw' }): Promise<Answer> {
    const message = failureMessage(outcome.error);
    const state = outcome.timedOut ? timedOut({ message }) : failed({ message });
    const context = { runId: live.created.id, subject: `error of "${live.created.name}"` };
    const sealing = this.payloads.sealError(outcome.error, message, context);
    const { stored } = sealing instanceof Promise ? await sealing : sealing;
    return this.transitions.proposeForFlowRun(live, state, { result: stored });
  }

  /** Closes a run whose body was cut off, unless it has been closed already; gives the error its caller gets. */
  private async crash(live: LiveFlowRun, { reason }: RunEndedError): Promise<Error> {
    const answer = await this.transitions.proposeForFlowRun(live, crashed({ message: `Cut off: ${reason}.` }));
    return this.endedOtherwise(live, answer.state);
  }

  /** What the caller of a run gets that somebody else ended, or asked to end: then this is where it does. */
  private async endedOtherwise(live: LiveFlowRun, state: State | null): Promise<Error> {
    const { id } = live.created;
    if (state?.type === StateType.Cancelling) await this.transitions.proposeForFlowRun(live, cancelled());
    if (state?.type === StateType.Cancelled || state?.type === StateType.Cancelling) return new RunCancelledError(id);
    return new RunCrashedError(
      id,
      state ? `it is ${state.name}${state.message ? `: ${state.message}` : ''}.` : 'it is gone.',
    );
  }

  private logFailure(live: LiveFlowRun, error: unknown): void {
    const stack = error instanceof Error && error.stack !== undefined ? error.stack : failureMessage(error);
    this.logs.append(sourceOf(live), LogLevel.Error, `The attempt failed. ${stack}`);
  }
}

function sourceOf({ created }: LiveFlowRun): LogSource {
  return { name: created.name, flowRunId: created.id, taskRunId: null };
}

/** The same for the same call of the same attempt, of flow or task, so that resuming the caller finds the run again. */
function subflowId({ caller, trackingTask }: SubflowCall): string {
  const { taskKey, dynamicKey, flowRunId, id } = trackingTask.created;
  const call = [caller.taskRun?.created.id ?? '', caller.attempt.number, taskKey, dynamicKey];
  return derivedId(flowRunId ?? id, call.join('\0'));
}

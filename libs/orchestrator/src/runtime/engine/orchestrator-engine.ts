import type { State } from '@nestor/core';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { ClaimedFlowRun } from '../../records/flow-runs/flow-run-claims.repository.js';
import { TaskQueue } from '../background/task-queue.service.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import type { CallOptions } from '../registry/call-options.js';
import { placeOf } from '../registry/definitions.js';
import type { AuthoredMethod, FlowDefinition, ProviderClass, TaskDefinition } from '../registry/definitions.js';
import { RunParameters } from '../references/run-parameters.service.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import type { LiveFlowRun, LiveTaskRun } from '../transitions/live-run.js';
import { ActiveCalls } from './active-calls.js';
import { ActiveFlowRuns } from './active-flow-runs.js';
import { Attempt } from './attempt.js';
import { quietWhenCutOff } from './cut-off.js';
import { EngineStoppingError } from './engine-errors.js';
import { reasonOf } from '../replay/replays.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { FlowEngine } from './flows/flow-engine.js';
import type { FlowExecution } from './flows/flow-execution.js';
import { FlowRunCreation } from './flows/flow-run-creation.service.js';
import { standInOf } from './flows/subflow-task.js';
import { changed, isTaskCall, traceOf, type FlowCall, type MethodCall, type TaskCall } from './method-call.js';
import type { NewRunOptions } from './new-run-options.js';
import { currentScope, outsideAnyScope, type RunScope } from './run-scope.js';
import { TaskEngine } from './tasks/task-engine.js';

/** What is left of the drain once runs have been cut off: their last states still have to be written. */
const LAST_WRITES_MS = 5_000;

/** A run that was started in the background. */
interface StartedRun {
  readonly live: LiveFlowRun;
  /** Settles as the run does. */
  readonly ended: Promise<unknown>;
}

/** What a task run from the queue executes, or why it cannot, with which it fails. */
export type QueuedCall =
  { readonly receiver: object; readonly args: readonly unknown[] } | { readonly failure: unknown };

/** A task run from the queue that is executed. */
interface ExecutedTask {
  /** Around all of its attempts: what ends this ends the run here. */
  readonly whole: Attempt;
  /** Settles when the run has ended, or is in the queue again. */
  readonly ended: Promise<unknown>;
}

/**
 * The engine of one application: takes the calls of decorated methods, keeps count of what is running, and lets it drain
 * when the application shuts down.
 */
@Injectable()
export class OrchestratorEngine implements CallEngine {
  private readonly logger = new Logger(OrchestratorEngine.name);
  /** Everything that runs here is within this attempt; it ends when the shutdown waits no longer. */
  private readonly application = new Attempt('the application', 1, null);
  private readonly active = new ActiveCalls();
  private stopping = false;

  constructor(
    private readonly registry: FlowRegistry,
    private readonly creation: FlowRunCreation,
    private readonly flowEngine: FlowEngine,
    private readonly taskEngine: TaskEngine,
    private readonly activeRuns: ActiveFlowRuns,
    private readonly queue: TaskQueue,
    private readonly parameters: RunParameters,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** Whether a shutdown has begun. */
  get isStopping(): boolean {
    return this.stopping;
  }

  knows(provider: ProviderClass, methodName: string, method: AuthoredMethod): boolean {
    return this.registry.find(provider, methodName)?.method === method;
  }

  /** @throws {EngineStoppingError} when the application shuts down and the call comes from outside any run. */
  call(
    provider: ProviderClass,
    methodName: string,
    receiver: object,
    args: readonly unknown[],
    options: CallOptions | null = null,
  ): Promise<unknown> {
    const known = this.registry.find(provider, methodName);
    if (!known) throw new Error(`${provider.name}.${methodName} is bound to an engine that does not know it.`);
    if (options?.delayed) return this.queue.delay(known, args, options.delayed);
    const definition = options ? changed(known, options) : known;
    const call: MethodCall = { definition, receiver, args, options };
    const scope = currentScope();
    if (scope?.engine === this) return this.callWithin(scope, call);
    // A run of another application cannot have parts here: its records are elsewhere.
    return scope ? outsideAnyScope(() => this.callFromOutside(call)) : this.callFromOutside(call);
  }

  private callWithin(scope: RunScope, call: MethodCall): Promise<unknown> {
    return isTaskCall(call) ? this.callTask(call) : this.callSubflow(scope, call as FlowCall);
  }

  private callFromOutside(call: MethodCall): Promise<unknown> {
    if (this.stopping) return Promise.reject(new EngineStoppingError(placeOf(call.definition)));
    return this.active.track(isTaskCall(call) ? this.callTask(call) : quietWhenCutOff(this.callFlow(call as FlowCall)));
  }

  /**
   * Creates a run and lets it run in this process; it is no part of the run that asks for it, if one does.
   *
   * @returns once the run is durable.
   * @throws {EngineStoppingError} when the application shuts down.
   * @throws {RunEndedError} when the attempt that asks is over.
   */
  async start(definition: FlowDefinition, args: readonly unknown[], options: NewRunOptions): Promise<StartedRun> {
    this.assertAccepting(placeOf(definition));
    currentScope()?.attempt.assertLive();
    return outsideAnyScope(() => this.active.track(this.createAndExecute(definition, args, options)));
  }

  /**
   * Executes a run that this process has claimed, from what is recorded of it.
   *
   * @param isFresh whether it was claimed a moment ago.
   * @param waited the state that says why it begins again. Default: the one it is in.
   * @returns when it is no longer executed here. Never rejects: the state of the run says how it ended.
   */
  executeClaimed(claimed: ClaimedFlowRun, isFresh: boolean, waited: State = claimed.state): Promise<void> {
    const ended = outsideAnyScope(() => this.active.track(this.beginClaimed(claimed, isFresh, waited)));
    return ended.then(
      () => undefined,
      () => undefined,
    );
  }

  /**
   * Executes a task run that this process has taken from the queue.
   *
   * @param call what is executed: the method of a task on an instance of its own; or what fails in its place.
   */
  executeQueued(live: LiveTaskRun, definition: TaskDefinition, call: QueuedCall): ExecutedTask {
    const whole = new Attempt(live.created.name, 1, this.application);
    const task = { ...definition, policy: live.image.policy };
    const [args, receiver] = 'failure' in call ? [[], null] : [call.args, call.receiver];
    const body = async (): Promise<unknown> => {
      if ('failure' in call) throw call.failure;
      return definition.invoke(call.receiver, call.args);
    };
    const ended = outsideAnyScope(() =>
      this.active.track(this.taskEngine.runQueued({ task, args, body, receiver }, live, this, whole)),
    ).finally(() => whole.end('it is over'));
    return { whole, ended };
  }

  private async beginClaimed(claimed: ClaimedFlowRun, isFresh: boolean, waited: State): Promise<unknown> {
    const live = this.flowEngine.adopt(await this.withParameters(claimed));
    const definition = this.registry.getFlowById(live.created.flowId);
    const receiver = await this.receiverFor(live, definition);
    const hasRecords = claimed.run.runCount > 0 || claimed.run.policy.isFork === true;
    const reason = hasRecords ? reasonOf(waited) : null;
    return this.execute({ live, definition, receiver, reason, isFresh: isFresh && !hasRecords, outerGate: null });
  }

  /** What its parameters refer to has to be there before anything of it begins. */
  private async withParameters(claimed: ClaimedFlowRun): Promise<ClaimedFlowRun> {
    if (claimed.run.deploymentId == null && !claimed.run.policy.isFork) return claimed;
    try {
      return await this.parameters.settle(claimed);
    } catch (error) {
      await this.flowEngine.failUnbegun(this.flowEngine.adopt(claimed), error);
      throw error;
    }
  }

  private async receiverFor(live: LiveFlowRun, definition: FlowDefinition): Promise<object> {
    try {
      return await definition.receiver(live);
    } catch (error) {
      await this.flowEngine.giveUp(live, `No instance of ${definition.provider.name} could be had: ${String(error)}`);
      throw error;
    }
  }

  private async createAndExecute(
    definition: FlowDefinition,
    args: readonly unknown[],
    options: NewRunOptions,
  ): Promise<StartedRun> {
    const live = await this.creation.create(definition, args, options);
    const receiver = await this.receiverFor(live, definition);
    const ended = this.active.track(this.execute(newExecution(live, definition, receiver)));
    ended.catch(() => undefined); // the run's own state says how it ended; whoever holds the handle hears of it there
    return { live, ended };
  }

  /** Resolves when the run is no longer executed in this process; `undefined` when it is not. */
  endOf(flowRunId: string): Promise<void> | undefined {
    return this.activeRuns.find(flowRunId)?.ended;
  }

  /** How many calls from outside any run have not settled. */
  get activeCalls(): number {
    return this.active.size;
  }

  /** Whether nothing is called, or all that is waits for a time: see {@link Attempt.onlyWaits}. */
  onlyWaits(waits: (signal: AbortSignal) => boolean): boolean {
    return this.active.size === 0 || this.application.onlyWaits(waits);
  }

  /** Refuses calls from outside any run from now on. */
  stopAccepting(): void {
    this.stopping = true;
  }

  /**
   * Lets what is running end, for at most as long as the drain may take, and cuts off the rest: runs are handed back, for
   * another process or a later one to go on with. Always resolves.
   *
   * @param nothingIsClaimed resolves when this process claims no runs any more: it would take back what it hands back.
   */
  async drain(nothingIsClaimed: Promise<void>): Promise<void> {
    const { drainMs } = this.settings;
    if (!(await this.active.idleWithin(drainMs))) {
      const names = this.activeRuns.all().map(({ live }) => live.created.name);
      const some = names.length > 5 ? `${names.slice(0, 5).join(', ')}, …` : names.join(', ');
      this.logger.warn(`${this.active.size} runs did not end within ${drainMs} ms and are handed back: ${some}`);
    }
    const cutOffAt = performance.now();
    await nothingIsClaimed;
    this.application.end('the application shut down', 'handed-back');
    await this.active.idleWithin(LAST_WRITES_MS - (performance.now() - cutOffAt));
  }

  private async callFlow({ definition, receiver, args, options }: FlowCall): Promise<unknown> {
    const known = options?.upstream ? await options.upstream.resolve() : args;
    const live = await this.creation.create(definition, known);
    if (options?.trace) options.trace.run = traceOf(live);
    return this.execute(newExecution(live, definition, receiver));
  }

  /** A flow within a run: a run of its own, and a task run in the caller that stands for it. */
  private callSubflow(caller: RunScope, { definition, receiver, args, options }: FlowCall): Promise<unknown> {
    const task = standInOf(definition);
    const body = (trackingTask: LiveTaskRun, known: readonly unknown[]): Promise<unknown> =>
      this.flowEngine.executeSubflow({ caller, trackingTask }, definition, receiver, known, this);
    return this.taskEngine.run({ task, args, body, options, receiver }, this, this.around());
  }

  private callTask({ definition, receiver, args, options }: TaskCall): Promise<unknown> {
    const body = (_: LiveTaskRun, known: readonly unknown[]): Promise<unknown> => definition.invoke(receiver, known);
    return this.taskEngine.run({ task: definition, args, body, options, receiver }, this, this.around());
  }

  private around(): Attempt {
    return currentScope()?.attempt ?? this.application;
  }

  private execute(execution: FlowExecution): Promise<unknown> {
    return this.flowEngine.execute(execution, this, this.around());
  }

  private assertAccepting(place: string): void {
    if (this.stopping) throw new EngineStoppingError(place);
  }
}

function newExecution(live: LiveFlowRun, definition: FlowDefinition, receiver: object): FlowExecution {
  return { live, definition, receiver, reason: null, isFresh: true, outerGate: null };
}

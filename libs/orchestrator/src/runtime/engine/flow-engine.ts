import {
  addMs,
  awaitingResume,
  cancelled,
  completed,
  crashed,
  encodingVersion,
  failed,
  isTerminal,
  pending,
  running,
  StateType,
  timedOut,
  type ProposedState,
  type State,
} from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { derivedId, newId } from '../../persistence/ids.js';
import { RunObserver } from '../control/run-observer.service.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { Hooks } from '../hooks/hooks.service.js';
import { LeaseLostError } from '../leases/run-lease.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { PauseTimeoutError } from '../inputs/input-errors.js';
import { InvalidParametersError } from '../parameters/invalid-parameters.error.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { CallEngine } from '../registry/engine-bindings.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import type { Replay } from '../replay/replay.js';
import { AttemptInspector } from '../rehearsal/attempt-inspector.js';
import { reasonOf, Replays, type ReplayReason } from '../replay/replays.service.js';
import { outcomeOfRun } from '../outcome-of-run.js';
import { capturesConsole } from './console-capture.js';
import { isRoot, type LiveFlowRun, type LiveTaskRun } from '../transitions/live-run.js';
import type { Answer } from '../transitions/decided.js';
import { StoredRuns } from '../transitions/stored-runs.service.js';
import { TransitionService } from '../transitions/transition.service.js';
import { ActiveFlowRuns, type ActiveFlowRun } from './active-flow-runs.js';
import { Attempt, goesOnElsewhere, type AttemptEnd } from './attempt.js';
import { RunCancelledError, RunCrashedError, RunHandedBackError, RunSuspendedError } from './engine-errors.js';
import { failureMessage, outcomeOf, stackOf, type Outcome } from './outcome.js';
import { settledInAttempt } from './in-attempt.js';
import { flowRunPolicyOf } from './flow-run-policy.js';
import type { NewRunOptions } from './new-run-options.js';
import { argumentsOf, callWithParameters, parametersOf } from './parameters.js';
import { PauseGate } from './pause-gate.js';
import { LogLevel, RunLogs, type LogSource } from './run-logs.js';
import { nameOfRun } from './run-names.js';
import { currentScope, RunScope, withScope } from './run-scope.js';
import { EngineScopeServices } from './scope-services.js';
import { tagsInScope, unionOf } from './scoped-tags.js';

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
  /** Why it begins again; `null` for a run that has just been created. */
  readonly reason: ReplayReason | null;
  /** The gate of the run that called it. */
  readonly outerGate: PauseGate | null;
}

/** Runs flows: creates them, takes them through their states, and settles as their bodies do. */
@Injectable()
export class FlowEngine {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly transitions: TransitionService,
    private readonly storedRuns: StoredRuns,
    private readonly replays: Replays,
    private readonly activeRuns: ActiveFlowRuns,
    private readonly process: ProcessLease,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
    private readonly services: EngineScopeServices,
    private readonly observer: RunObserver,
    private readonly hooks: Hooks,
    private readonly inspector: AttemptInspector,
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
    const root = call?.caller.flowRun ?? null;
    return this.transitions.createFlowRun(
      {
        id,
        flowId: this.registry.flowId(definition.name),
        app: this.settings.app,
        rootFlowRunId: root?.created.rootFlowRunId ?? id,
        parentTaskRunId: call?.trackingTask.created.id ?? null,
        name: options.name ?? definition.runName?.(args) ?? nameOfRun(id),
        parameters,
        tags: unionOf(definition.tags, options.tags ?? [], tagsInScope()),
        flowVersion: definition.version,
        buildId: this.settings.buildId ?? this.registry.fingerprint,
        encodingVersion,
        isLeased: root === null,
      },
      flowRunPolicyOf(definition, this.settings.maxRecoveries),
      pending(),
      root?.lease ?? null,
    );
  }

  /** A run that this process has claimed, as it stands; `null` when it does not hold it any more. */
  claimed(flowRunId: string): Promise<LiveFlowRun | null> {
    return this.transitions.claimedFlowRun(flowRunId);
  }

  /** Ends a claimed run that cannot be begun here. */
  async giveUp(live: LiveFlowRun, message: string): Promise<void> {
    await this.transitions.proposeForFlowRun(live, crashed({ message }));
    this.process.release(live.lease);
  }

  /**
   * Runs the flow that a tracking task run stands for; in a caller that is replayed, goes on with the run that is there.
   *
   * @returns, and throws, as {@link execute} does.
   */
  async executeSubflow(
    call: SubflowCall,
    definition: FlowDefinition,
    receiver: object,
    args: readonly unknown[],
    engine: CallEngine,
  ): Promise<unknown> {
    const { caller } = call;
    // A run that is there was begun before the caller was interrupted.
    const known =
      caller.place.replay && caller.flowRun && (await this.transitions.findSubflowRun(subflowId(call), caller.flowRun));
    if (known && isTerminal(known.row.stateType ?? StateType.Pending))
      return outcomeOfRun(known.row, known.row.result === null ? undefined : await this.replays.read(known.row.result));
    const live = known?.live ?? (await this.create(definition, args, {}, call));
    const reason = known ? await this.interrupt(live) : null;
    const around = currentScope()?.attempt ?? caller.attempt;
    return this.execute({ live, definition, receiver, reason, outerGate: caller.place.gate }, engine, around);
  }

  /** Notes that a subflow run was interrupted with its root, where it was running; gives why it begins again. */
  private async interrupt(live: LiveFlowRun): Promise<ReplayReason> {
    const reason = reasonOf(live.image.state);
    if (live.image.state?.type === StateType.Scheduled) return reason;
    const state = awaitingResume({ scheduledTime: this.transitions.now(), message: 'Its process had ended.' });
    await this.transitions.proposeForFlowRun(live, state);
    return reason;
  }

  /**
   * Runs a flow to its end, retries included.
   *
   * @param around the attempt that called it; when that ends, so does this run.
   * @returns the returned value as it was recorded.
   * @throws what the body threw: the error itself, because whoever called is not replayed.
   * @throws {RunCancelledError} when somebody cancelled the run.
   * @throws {RunCrashedError} when it ended for another reason than its own code.
   * @throws {RunHandedBackError}, {@link RunSuspendedError} and {@link LeaseLostError} when it goes on elsewhere or later.
   */
  async execute(execution: FlowExecution, engine: CallEngine, around: Attempt): Promise<unknown> {
    const { live, outerGate } = execution;
    // Its own attempt within what is around it, so that this run alone can be ended.
    const whole = new Attempt(live.created.name, 1, around, live.created.id);
    const { active, remove } = this.activeRuns.add(live, new PauseGate(outerGate), whole);
    if (isRoot(live)) live.lease.onLost = (error) => whole.end(error.message, 'lease-lost');
    if (isRoot(live) && live.lease.lost) whole.end(live.lease.lost.message, 'lease-lost');
    try {
      return await this.executeAttempts(execution, active, engine, whole);
    } finally {
      active.gate.open();
      whole.end('it is over');
      if (isRoot(live)) this.process.release(live.lease);
      remove();
    }
  }

  private async executeAttempts(
    execution: FlowExecution,
    active: ActiveFlowRun,
    engine: CallEngine,
    around: Attempt,
  ): Promise<unknown> {
    const { live, definition } = execution;
    const load = (reason: ReplayReason): Promise<Replay> => this.replays.load(live, reason, definition.onDivergence);
    for (let { reason } = execution; ; reason = 'retry') {
      const attempt = (active.attempt = await this.begin(live, active, around));
      if (definition.hooks) await this.hooks.beginFlow(live, definition, execution.receiver);
      const replay = reason && (await load(reason));
      const outcome = await this.attempt(execution, active, attempt, replay, engine);
      const goesOn = outcome.kind === 'cut-off' && goesOnElsewhere(outcome.end);
      if (replay && !goesOn) await this.closeLeftovers(live, replay);
      if (outcome.kind === 'returned') {
        const result = this.persists(definition) ? outcome.stored : null;
        const answer = await this.conclude(active, outcome.state ?? completed(), result);
        if (answer.state?.type === StateType.Completed) return this.payloads.decode(outcome.encoded);
        throw await this.endedOtherwise(live, answer.state);
      }
      if (outcome.kind === 'cut-off') throw await this.cutOff(live, active, outcome.end);
      this.logFailure(live, outcome.error);
      const answer = await this.fail(execution, active, outcome, replay);
      if (answer.state?.type === StateType.Failed) throw outcome.error;
      if (answer.state?.type !== StateType.Scheduled) throw await this.endedOtherwise(live, answer.state);
    }
  }

  /** Enters `RUNNING`, waiting for the scheduled time if there is one. */
  private async begin(live: LiveFlowRun, active: ActiveFlowRun, around: Attempt): Promise<Attempt> {
    for (;;) {
      if (around.ended) throw await this.cutOff(live, active, around.ended);
      // The attempt is known to the caller of the answer that supersedes this one.
      const started: { attempt?: Attempt } = {};
      const answer =
        live.image.state?.type === StateType.Scheduled
          ? // It has to be known that this process began it: were it killed by the run at once, the run would go on waiting in
            // SCHEDULED, and be the end of one process after another without ever being counted as recovered.
            await this.transitions.proposeForFlowRun(live, running())
          : this.transitions.proposeInPassing(live, running(), ({ state }) => {
              if (state?.type !== StateType.Running) started.attempt?.end(`it is ${state?.name ?? 'gone'}`);
            });
      if (answer.verdict.kind === 'wait') {
        const until = addMs(this.transitions.now(), answer.verdict.retryAfterMs);
        await this.transitions.waitUntil(until, around.signal);
        continue;
      }
      if (answer.state?.type !== StateType.Running) throw await this.endedOtherwise(live, answer.state);
      started.attempt = new Attempt(live.created.name, live.image.runCount, around);
      return started.attempt;
    }
  }

  private async attempt(
    { live, definition, receiver }: FlowExecution,
    active: ActiveFlowRun,
    attempt: Attempt,
    replay: Replay | null,
    engine: CallEngine,
  ): Promise<Outcome> {
    // Every attempt gets what is recorded, the first one too: what would differ in a resumed run differs at once.
    const parametersAnew = async (): Promise<Record<string, unknown>> =>
      (await this.replays.read(live.created.parameters)) as Record<string, unknown>;
    const argumentsAnew = async (): Promise<unknown[]> => argumentsOf(await parametersAnew());
    const parameters = await parametersAnew();
    const scope = new RunScope({
      engine,
      flowRun: live,
      flowName: definition.name,
      parameters,
      taskRun: null,
      attempt,
      replay,
      gate: active.gate,
      persistResults: this.persists(definition),
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
    const state = failed({ message: failureMessage(diverged), details: { retriable: false } });
    return { kind: 'threw', error: diverged, timedOut: false, state };
  }

  private async fail(
    { definition }: FlowExecution,
    active: ActiveFlowRun,
    outcome: Outcome & { kind: 'threw' },
    replay: Replay | null,
  ): Promise<Answer> {
    const { live } = active;
    const message = failureMessage(outcome.error);
    const isFinal = replay?.diverged != null || outcome.error instanceof InvalidParametersError;
    const isRetriable = !isFinal && (await this.isWorthRetrying(definition, live, outcome.error));
    const details = isRetriable ? {} : { retriable: false };
    const state = outcome.state ?? (outcome.timedOut ? timedOut : failed)({ message, details });
    const context = { runId: live.created.id, subject: `error of "${live.created.name}"` };
    const { stored } = await this.payloads.sealError(outcome.error, message, context);
    // Nobody resumes it any more.
    const isOverdue = outcome.error instanceof PauseTimeoutError && outcome.error.flowRunId === live.created.id;
    if (isOverdue) return this.transitions.proposeForFlowRun(live, state, { result: stored });
    return this.conclude(active, state, stored);
  }

  /** Asked only while retries remain; what the condition throws is no reason to try again. */
  private async isWorthRetrying(
    { retryCondition, policy }: FlowDefinition,
    { created, image }: LiveFlowRun,
    error: unknown,
  ): Promise<boolean> {
    if (!retryCondition || image.runCount > policy.retries) return true;
    try {
      const parameters = (await this.replays.read(created.parameters)) as Record<string, unknown>;
      const failedAttempt = { attempt: image.runCount, args: argumentsOf(parameters) as never, runName: created.name };
      return await retryCondition(error, failedAttempt);
    } catch (failure) {
      this.logs.append(sourceOf({ created }), LogLevel.Error, `Its retryCondition failed. ${stackOf(failure)}`);
      return false;
    }
  }

  /**
   * Proposes what came of an attempt, once the run is not paused: by the rules only a running one is tried again.
   *
   * @throws what the caller of a run gets that ends, or leaves the process, as it waits: there it comes to the same outcome.
   */
  private async conclude(active: ActiveFlowRun, state: ProposedState, result: string | null): Promise<Answer> {
    const { live, gate, whole } = active;
    for (;;) {
      while (gate.reopened) {
        if (whole.ended) throw await this.cutOff(live, active, whole.ended);
        await reopenedOrEnded(active, gate.reopened);
      }
      const answer = await this.transitions.proposeForFlowRun(live, state, {
        ...(result !== null && { result }),
        unlessPaused: true,
      });
      if (answer.state?.type !== StateType.Paused) return answer;
      // Somebody paused it a moment ago. It may have been resumed again since: the observer looks after the gate is closed.
      gate.close();
      this.observer.look(live.created.id);
    }
  }

  /** Does with a run whose body was cut off what the reason asks for; gives the error its caller gets. */
  private async cutOff(live: LiveFlowRun, active: ActiveFlowRun, { kind, reason }: AttemptEnd): Promise<Error> {
    const { id } = live.created;
    switch (kind) {
      case 'lease-lost':
        return live.lease.lost ?? new LeaseLostError(id);
      case 'handed-back':
        if (isRoot(live)) await this.handBack(live, active);
        return new RunHandedBackError(id);
      case 'suspended':
        if (isRoot(live)) await this.transitions.releaseLease(live);
        return new RunSuspendedError(id);
      case 'cancelled': {
        const answer = await this.transitions.proposeForFlowRun(live, cancelled({ message: `Cancelled: ${reason}.` }));
        return this.endedOtherwise(live, answer.state);
      }
      case 'over': {
        const answer = await this.transitions.proposeForFlowRun(live, crashed({ message: `Cut off: ${reason}.` }));
        return this.endedOtherwise(live, answer.state);
      }
    }
  }

  /** Lets other processes go on with a run; one that waits for its next attempt, or is paused, stays as it is. */
  private async handBack(live: LiveFlowRun, active: ActiveFlowRun): Promise<void> {
    const waits = live.image.state?.type === StateType.Scheduled || active.gate.isClosed;
    if (waits) return this.transitions.releaseLease(live);
    const state = awaitingResume({ scheduledTime: this.transitions.now(), message: 'Its process shut down.' });
    try {
      await this.transitions.proposeForFlowRun(live, state, { lease: 'revoked' });
    } catch (error) {
      // By a takeover, or by our own hand-back, whose answer got lost: either way others go on with the run.
      if (!(error instanceof LeaseLostError)) throw error;
    }
  }

  /** Runs that had begun in a process that is gone, and that the code did not ask for again. */
  private async closeLeftovers(live: LiveFlowRun, replay: Replay): Promise<void> {
    const state = cancelled({ message: 'Not called again after its process had ended.' });
    const left = replay.leftUnfinished();
    for (const { created, image } of left) {
      const task: LiveTaskRun = { created, image, lease: live.lease };
      this.transitions.proposeForTaskRun(task, state, live.image.runCount).inPassing();
    }
    const calls = left.filter(({ created }) => created.taskKey.startsWith('flow:')).map(({ created }) => created.id);
    if (calls.length > 0) await this.storedRuns.closeBelow(calls, state, live.lease);
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

  /** Whether its result is kept, and those of its tasks that say nothing about it. */
  private persists({ persistResult }: FlowDefinition): boolean {
    return persistResult ?? currentScope()?.place.persistResults ?? this.settings.persistResults;
  }

  private logFailure(live: LiveFlowRun, error: unknown): void {
    this.logs.append(sourceOf(live), LogLevel.Error, `The attempt failed. ${stackOf(error)}`);
  }
}

/** Until then the run does nothing: a suspension need not wait for it. */
async function reopenedOrEnded({ whole }: ActiveFlowRun, reopened: Promise<void>): Promise<void> {
  const letGo = whole.hold();
  await settledInAttempt(reopened, whole);
  letGo();
}

function sourceOf({ created }: Pick<LiveFlowRun, 'created'>): LogSource {
  return { name: created.name, flowRunId: created.id, taskRunId: null };
}

/** The same for the same call of the same attempt, of flow or task, so that resuming the caller finds the run again. */
function subflowId({ caller, trackingTask }: SubflowCall): string {
  const { taskKey, dynamicKey, flowRunId, id } = trackingTask.created;
  const call = [caller.place.taskRun?.created.id ?? '', caller.attempt.number, taskKey, dynamicKey];
  return derivedId(flowRunId ?? id, call.join('\0'));
}

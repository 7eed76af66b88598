import {
  addMs,
  completed,
  failed,
  pending,
  running,
  StateType,
  timedOut,
  type FlowRun,
  type Instant,
} from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import { ENGINE_SETTINGS, type EngineSettings } from '../../engine-settings.js';
import { Hooks } from '../../hooks/hooks.service.js';
import { PauseTimeoutError } from '../../inputs/input-errors.js';
import { InvalidParametersError } from '../../parameters/invalid-parameters.error.js';
import { Payloads } from '../../payloads/payloads.service.js';
import type { FlowDefinition } from '../../registry/definitions.js';
import type { CallEngine } from '../../registry/engine-bindings.js';
import type { Replay } from '../../replay/replay.js';
import { RunParameters } from '../../references/run-parameters.service.js';
import { Replays, type ReplayReason } from '../../replay/replays.service.js';
import type { Answer } from '../../transitions/decided.js';
import type { LiveFlowRun } from '../../transitions/live-run.js';
import { TransitionService } from '../../transitions/transition.service.js';
import type { ActiveFlowRun } from '../active-flow-runs.js';
import { Attempt, goesOnElsewhere } from '../attempt.js';
import { failureMessage, stackOf, type Outcome } from '../outcome.js';
import { argumentsOf } from '../parameters.js';
import { isWorthRetrying } from '../retry-condition.js';
import { LogLevel, RunLogs } from '../run-logs.js';
import { FlowBodies } from './flow-bodies.service.js';
import { logSourceOf, persistsResult, type FlowExecution } from './flow-execution.js';
import { FlowRunEndings } from './flow-run-endings.service.js';

/** Takes flow runs from their first attempt to their outcome, retries included. */
@Injectable()
export class FlowAttempts {
  constructor(
    private readonly bodies: FlowBodies,
    private readonly endings: FlowRunEndings,
    private readonly transitions: TransitionService,
    private readonly replays: Replays,
    private readonly parameters: RunParameters,
    private readonly payloads: Payloads,
    private readonly hooks: Hooks,
    private readonly logs: RunLogs,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /**
   * Runs the body until it succeeds or is not tried again.
   *
   * @returns, and throws, as `FlowEngine.execute` does.
   */
  async run(execution: FlowExecution, active: ActiveFlowRun, engine: CallEngine, around: Attempt): Promise<unknown> {
    const { live, definition } = execution;
    const load = (reason: ReplayReason): Promise<Replay> => this.replays.load(live, reason, definition.onDivergence);
    for (let { reason, isFresh } = execution; ; reason = 'retry', isFresh = false) {
      const attempt = (active.attempt = await this.begin(live, active, around, isFresh));
      if (definition.hooks) await this.hooks.beginFlow(live, definition, execution.receiver);
      const replay = reason && (await load(reason));
      const outcome = await this.bodies.attempt(execution, active, attempt, replay, engine);
      const goesOn = outcome.kind === 'cut-off' && goesOnElsewhere(outcome.end);
      if (replay && !goesOn) await this.endings.closeLeftovers(live, replay);
      if (outcome.kind === 'returned') {
        const result = persistsResult(definition, this.settings.persistResults) ? outcome.stored : null;
        const answer = await this.endings.conclude(active, outcome.state ?? completed(), result);
        if (answer.state?.type === StateType.Completed) return this.payloads.decode(outcome.encoded);
        throw await this.endings.endedOtherwise(live, answer.state);
      }
      if (outcome.kind === 'cut-off') throw await this.endings.cutOff(live, active, outcome.end);
      this.logError(live, `The attempt failed. ${stackOf(outcome.error)}`);
      const answer = await this.fail(execution, active, outcome, replay);
      if (answer.state?.type === StateType.Failed) throw outcome.error;
      if (answer.state?.type !== StateType.Scheduled) throw await this.endings.endedOtherwise(live, answer.state);
    }
  }

  /** Enters `RUNNING`, waiting for the scheduled time if there is one. */
  private async begin(live: LiveFlowRun, active: ActiveFlowRun, around: Attempt, isFresh: boolean): Promise<Attempt> {
    for (;;) {
      if (around.ended) throw await this.endings.cutOff(live, active, around.ended);
      // The attempt is known to the caller of the answer that supersedes this one.
      const started: { attempt?: Attempt } = {};
      const waited = live.image.state?.type === StateType.Scheduled && !isFresh;
      if (isFirstStart(live.image, this.transitions.now())) {
        this.transitions.proposeInPassing(live, pending(), () => undefined);
      }
      // Were its process killed by the run at once, the run would be found held by it, and due: that counts as a recovery.
      const answer = waited
        ? await this.transitions.proposeForFlowRun(live, running())
        : this.transitions.proposeInPassing(live, running(), ({ state }) => {
            if (state?.type !== StateType.Running) started.attempt?.end(`it is ${state?.name ?? 'gone'}`);
          });
      if (answer.verdict.kind === 'wait') {
        const until = addMs(this.transitions.now(), answer.verdict.retryAfterMs);
        await this.transitions.waitUntil(until, around.signal);
        continue;
      }
      if (answer.state?.type !== StateType.Running) throw await this.endings.endedOtherwise(live, answer.state);
      started.attempt = new Attempt(live.created.name, live.image.runCount, around);
      return started.attempt;
    }
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
    return this.endings.conclude(active, state, stored);
  }

  private isWorthRetrying(definition: FlowDefinition, live: LiveFlowRun, error: unknown): Promise<boolean> {
    const args = async (): Promise<unknown[]> =>
      argumentsOf(await this.parameters.opened(await this.parameters.recorded(live)));
    return isWorthRetrying(definition, live, error, args, (line) => this.logError(live, line));
  }

  private logError(live: LiveFlowRun, message: string): void {
    this.logs.append(logSourceOf(live), LogLevel.Error, message);
  }
}

/** Whether a run that waited is due for the very first time: like any other, it is `PENDING` before it runs. */
function isFirstStart({ state, runCount }: FlowRun, now: Instant): boolean {
  if (state?.type !== StateType.Scheduled || runCount > 0 || state.name === 'AwaitingResume') return false;
  return (state.details.scheduledTime ?? now) <= now;
}

import {
  addMs,
  decode,
  encode,
  isTerminal,
  msBetween,
  paused,
  StateType,
  suspended,
  type Instant,
  type ProposedState,
  type State,
} from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { newId } from '../../persistence/ids.js';
import { Transactions } from '../../persistence/transactions.js';
import { FlowRunInputsRepository } from '../../records/flow-run-inputs/flow-run-inputs.repository.js';
import { RunControlRefusedError } from '../control/run-control-errors.js';
import { RunObserver } from '../control/run-observer.service.js';
import type { Attempt } from '../engine/attempt.js';
import { RunEndedError } from '../engine/engine-errors.js';
import { settledInAttempt } from '../engine/in-attempt.js';
import type { PauseGate } from '../engine/pause-gate.js';
import type { RunScope, ScopeServices } from '../engine/run-scope.js';
import { Payloads } from '../payloads/payloads.service.js';
import { Journal } from '../transitions/journal.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { TransitionService } from '../transitions/transition.service.js';
import { NotInFlowBodyError, PauseTimeoutError } from './input-errors.js';
import { pauseValueKey } from './kept-inputs.js';
import { keysetOf, type InputKeyset } from './keyset.js';
import type { PauseRequest } from './pause-request.js';

/** The body of a flow, from which it may pause itself. */
interface FlowBody {
  readonly services: ScopeServices;
  readonly flowRun: LiveFlowRun;
  readonly gate: PauseGate;
  readonly attempt: Attempt;
}

/** Pauses runs at the wish of their own code, and gives it the answers. */
@Injectable()
export class RunPauses {
  constructor(
    private readonly transitions: TransitionService,
    private readonly inputs: FlowRunInputsRepository,
    private readonly transactions: Transactions,
    private readonly journal: Journal,
    private readonly payloads: Payloads,
    private readonly observer: RunObserver,
  ) {}

  /**
   * Pauses the run, and gives the answer once somebody has resumed it. A pause whose answer is recorded gives that at once.
   *
   * @throws {PauseTimeoutError} when nobody resumed it in time; then it has failed.
   * @throws {InvalidRunInputError} when the answer does not fit its class in a way that the schema does not tell.
   * @throws {RunControlRefusedError} when it is a subflow that would be suspended.
   * @throws {NotInFlowBodyError} in a task.
   */
  async pause(scope: RunScope, request: PauseRequest): Promise<unknown> {
    const { replay } = scope.place;
    const body = bodyOf(scope, request.how);
    const key = request.key ?? scope.branch.keyOfValue('pause');
    const recorded = replay?.values.get(pauseValueKey(key));
    if (recorded !== undefined) return this.taken(body.flowRun, request, decode(recorded) as string | null);

    const keyset = request.asked && keysetOf(request.how, key);
    await this.untilResumed(body, request, key, keyset);
    const answer = keyset && (await this.answerUnder(body.flowRun, keyset));
    const value = await this.taken(body.flowRun, request, answer);
    body.attempt.assertLive();
    body.services.keepValue(body.flowRun, pauseValueKey(key), encode(answer));
    return value;
  }

  /** Returns at once when it has been paused and resumed before. */
  private async untilResumed(
    body: FlowBody,
    request: PauseRequest,
    key: string,
    keyset: InputKeyset | null,
  ): Promise<void> {
    const { flowRun } = body;
    // Known here: whoever claims a run reads it, and nobody else adds any.
    if (flowRun.image.policy.pauseKeys.includes(key)) return;
    if (keyset) await this.describe(flowRun, request, keyset);
    const state = await this.enter(body, request, (now) => pausedState(request, key, keyset, now));
    if (state) await this.untilPassed(body, request, state);
  }

  /** Says what is asked for, before the state refers to it. */
  private async describe({ created }: LiveFlowRun, { asked }: PauseRequest, keyset: InputKeyset): Promise<void> {
    if (!asked) return;
    const described: [key: string, value: unknown][] = [[keyset.schema, asked.schema]];
    if (asked.description !== null) described.push([keyset.description, asked.description]);
    const context = { runId: created.id, subject: `what flow run ${created.id} asks for` };
    const rows = await Promise.all(
      described.map(async ([key, value]) => ({
        ...{ flowRunId: created.id, key, id: newId(), sender: null },
        value: await this.payloads.seal(this.payloads.encode(value, context.subject), context),
      })),
    );
    await this.journal.patiently(() => this.transactions.single((tx) => this.inputs.replace(tx, rows)));
  }

  /** Enters the pause; `null` when it turns out to have fired before. What pauses the run already comes first. */
  private async enter(
    body: FlowBody,
    { how }: PauseRequest,
    pausing: (now: Instant) => ProposedState,
  ): Promise<State | null> {
    const { flowRun, gate, attempt } = body;
    const { id } = flowRun.created;
    for (;;) {
      await openIn(gate, attempt);
      gate.close(); // before anybody can resume it: the observer opens what is closed
      const proposed = pausing(this.transitions.now());
      const { verdict, state } = await this.transitions.proposeForFlowRun(flowRun, proposed, { unlessPaused: true });
      if (verdict.kind === 'accept' && state?.type === StateType.Paused) return state;
      this.observer.look(id);
      if (state?.type === StateType.Paused) continue; // somebody else was faster
      gate.open();
      if (state?.type !== StateType.Running) {
        throw endedAs(flowRun, state);
      }
      if (verdict.kind === 'abort') throw new RunControlRefusedError(id, how, state?.type ?? null, verdict.reason);
      return null;
    }
  }

  /** Waits until somebody resumes the run; a suspended one leaves its process meanwhile. */
  private async untilPassed(
    { flowRun, gate, attempt, services }: FlowBody,
    { how, timeoutMs }: PauseRequest,
    { id: stateId, details }: State,
  ): Promise<void> {
    const { id } = flowRun.created;
    if (how === 'suspend') this.observer.look(id);
    let until = how === 'pause' ? details.pauseTimeout : undefined;
    const endWait = services.beginWait(flowRun, null);
    const letGo = attempt.hold(); // it runs nothing: what around it is suspended need not wait for it
    try {
      for (;;) {
        if (!gate.isClosed) {
          const state = await this.transitions.refreshed(flowRun);
          attempt.assertLive();
          if (state && isTerminal(state.type)) throw endedAs(flowRun, state);
          if (state?.id !== stateId) return;
          // Whoever opened it had looked before the run was paused. It may have been resumed since.
          gate.close();
          this.observer.look(id);
        }
        const leftMs = until === undefined ? null : Math.max(0, msBetween(this.transitions.now(), until));
        await settledInAttempt(gate.passage(), attempt, leftMs, this.transitions.callAfter);
        attempt.assertLive();
        if (until === undefined || until > this.transitions.now() || !gate.isClosed) continue;
        until = undefined; // whoever resumed it in time did so by now
        if ((await this.transitions.refreshed(flowRun))?.id === stateId)
          throw new PauseTimeoutError(id, timeoutMs ?? 0);
        this.observer.look(id);
      }
    } finally {
      letGo();
      endWait();
    }
  }

  private async answerUnder({ created }: LiveFlowRun, { response }: InputKeyset): Promise<string | null> {
    return this.journal.patiently(() => this.inputs.valueAt(created.id, response));
  }

  private async taken({ created }: LiveFlowRun, { asked }: PauseRequest, answer: string | null): Promise<unknown> {
    if (!asked) return undefined;
    const input = answer === null ? {} : await this.journal.patiently(async () => this.payloads.read(answer));
    return asked.take(input, created.id);
  }
}

/** @throws {NotInFlowBodyError} in a task. */
function bodyOf({ place, attempt }: RunScope, call: string): FlowBody {
  const { flowRun, taskRun, gate, services } = place;
  if (!flowRun || taskRun || !gate) throw new NotInFlowBodyError(call);
  attempt.assertLive();
  return { flowRun, gate, attempt, services };
}

function pausedState(
  { how, timeoutMs }: PauseRequest,
  pauseKey: string,
  runInputKeyset: InputKeyset | null,
  now: Instant,
): ProposedState {
  const details = {
    pauseKey,
    ...(timeoutMs !== null && { pauseTimeout: addMs(now, timeoutMs) }),
    ...(runInputKeyset && { runInputKeyset: { ...runInputKeyset } }),
  };
  return how === 'pause' ? paused({ details }) : suspended({ details });
}

function endedAs({ created }: LiveFlowRun, state: State | null): RunEndedError {
  return new RunEndedError(created.name, `it is ${state?.name ?? 'gone'}`);
}

/** Resolves when nothing pauses the run. @throws {RunEndedError} and its like when the attempt is over. */
async function openIn(gate: PauseGate, attempt: Attempt): Promise<void> {
  const letGo = attempt.hold();
  try {
    while (gate.isClosed && !attempt.ended) await settledInAttempt(gate.passage(), attempt);
  } finally {
    letGo();
  }
  attempt.assertLive();
}

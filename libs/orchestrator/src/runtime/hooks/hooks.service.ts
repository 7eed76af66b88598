import { isTerminal, StateType, type State } from '@nestor/core';
import { Inject, Injectable } from '@nestjs/common';
import type { FlowRunEntity } from '../../records/flow-runs/flow-run.entity.js';
import type { NewOwedHooks } from '../../records/owed-hooks/owed-hooks.repository.js';
import type { NewTaskRun } from '../../records/task-runs/task-run-rows.js';
import { ENGINE_SETTINGS, type EngineSettings } from '../engine-settings.js';
import { stackOf } from '../engine/outcome.js';
import { LogLevel, RunLogs } from '../engine/run-logs.js';
import { ProcessLease } from '../leases/process-lease.service.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { FlowDefinition } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import type { LiveFlowRun, LiveTaskRun } from '../transitions/live-run.js';
import { encodedArguments } from './encoded-arguments.js';
import { HookCaller } from './hook-caller.service.js';
import { hookedFlowRun, hookedTaskRun, type HookCall, type HookedDefinition, type HookedTask } from './hook-call.js';
import { areOwed } from './hook-lists.js';

/** The hooks of runs that this process executes: calls them when a state is entered, and says what it owes until then. */
@Injectable()
export class Hooks {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly caller: HookCaller,
    private readonly payloads: Payloads,
    private readonly logs: RunLogs,
    private readonly process: ProcessLease,
    @Inject(ENGINE_SETTINGS) private readonly settings: EngineSettings,
  ) {}

  /** What a flow run owes that this process moves into the state; `undefined` when that is nothing. */
  owedByFlowRun({ created }: LiveFlowRun, state: State): NewOwedHooks | undefined {
    const hooks = isTerminal(state.type) ? this.registry.findFlowById(created.flowId)?.hooks : null;
    if (!hooks || !areOwed(hooks, state.type)) return undefined;
    const { id: runId, flowId, app } = created;
    return { stateId: state.id, runId, app, flowId, taskKey: null, arguments: null, processId: this.process.processId };
  }

  /**
   * The same for a run that is known from the database alone: any process that has the flow is to call its hooks. One that does
   * not have it cannot tell whether there are any.
   */
  owedByStoredRun({ id: runId, flowId, app, buildId }: FlowRunEntity, state: State): NewOwedHooks | undefined {
    const isOfAnApplication = buildId !== null;
    if (!isOfAnApplication || !isTerminal(state.type)) return undefined;
    const flow = app === this.settings.app ? this.registry.findFlowById(flowId) : undefined;
    if (flow && !(flow.hooks && areOwed(flow.hooks, state.type))) return undefined;
    return { stateId: state.id, runId, app, flowId, taskKey: null, arguments: null, processId: null };
  }

  /** The same for a task run. */
  owedByTaskRun({ created, hooked }: LiveTaskRun, state: State): NewOwedHooks | undefined {
    const hooks = hooked?.definition.hooks;
    if (!hooks || !areOwed(hooks, state.type)) return undefined;
    const { id: runId, taskKey } = created;
    const { processId } = this.process;
    const { app } = this.settings;
    return { stateId: state.id, runId, app, flowId: null, taskKey, arguments: hooked.args, processId };
  }

  /** Notes what the hooks of a task are told of its arguments, which are kept nowhere else. */
  async noteTask(
    live: LiveTaskRun,
    definition: HookedDefinition,
    receiver: object | null,
    args: readonly unknown[],
  ): Promise<void> {
    const { id, name, flowRunId } = live.created;
    const context = { runId: id, subject: `arguments of ${name}` };
    let sealed: string | null = null;
    try {
      sealed = await this.payloads.seal(encodedArguments(args, this.payloads, context.subject), context);
    } catch (error) {
      const message = `Its hooks will not be told its arguments, which could not be kept. ${stackOf(error)}`;
      this.logs.append({ name, flowRunId, taskRunId: id }, LogLevel.Error, message);
    }
    live.hooked = { definition, receiver, args: sealed };
  }

  /** Calls the hooks of a flow run that is about to begin an attempt. Never rejects. */
  async beginFlow(live: LiveFlowRun, definition: FlowDefinition, receiver: object): Promise<void> {
    live.receiver = receiver;
    const { state } = live.image;
    if (state?.type === StateType.Running) await this.caller.call(callOfFlow(live, definition, state, null));
  }

  /** Calls the hooks of a task run that is about to begin an attempt. Never rejects. */
  async beginTask({ created, image, hooked }: LiveTaskRun): Promise<void> {
    const { state } = image;
    if (state?.type === StateType.Running && hooked) {
      await this.caller.call(callOfTask(created, image.runCount, hooked, state, null));
    }
  }

  /** Calls what the durable state of a flow run owes. Never rejects. */
  async endFlow(live: LiveFlowRun, state: State, outcome: string | null): Promise<void> {
    const definition = this.registry.findFlowById(live.created.flowId);
    if (definition) await this.caller.pay(callOfFlow(live, definition, state, outcome));
  }

  /** Calls what the durable state of a task run owes. Never rejects. */
  async endTask({ created, image, hooked }: LiveTaskRun, state: State, outcome: string | null): Promise<void> {
    if (hooked) await this.caller.pay(callOfTask(created, image.runCount, hooked, state, outcome));
  }
}

function callOfFlow(live: LiveFlowRun, definition: FlowDefinition, state: State, outcome: string | null): HookCall {
  const { created, image, receiver } = live;
  const run = hookedFlowRun(created, image.runCount, definition);
  return {
    definition,
    receiver: () => receiver ?? definition.receiver(live),
    run,
    state,
    args: created.parameters,
    outcome,
  };
}

function callOfTask(
  created: NewTaskRun,
  attempt: number,
  { definition, receiver, args }: HookedTask,
  state: State,
  outcome: string | null,
): HookCall {
  return {
    definition,
    receiver: () => receiver ?? {},
    run: hookedTaskRun(created, attempt, definition),
    state,
    args,
    outcome,
  };
}

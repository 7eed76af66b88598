import { Injectable } from '@nestjs/common';
import { ContextIdFactory, ModuleRef, type ContextId } from '@nestjs/core';
import { REQUEST_CONTEXT_ID } from '@nestjs/core/router/request/request-constants.js';
import { currentScope } from '../engine/run-scope.js';
import { parametersOf } from '../engine/parameters.js';
import { Payloads } from '../payloads/payloads.service.js';
import type { KnownFlowRun, KnownTaskRun } from '../registry/definitions.js';
import { FlowRegistry } from '../registry/flow-registry.js';
import { Replays } from '../replay/replays.service.js';
import { RunRequest } from './run-request.js';

/**
 * The part of Nest's container that belongs to a run, as one belongs to each HTTP request: in it, request-scoped providers
 * are made once. It is kept with the run as this process has it, and is gone when that is.
 */
@Injectable()
export class RunContexts {
  private readonly contexts = new WeakMap<KnownFlowRun | KnownTaskRun, Promise<ContextId>>();

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly registry: FlowRegistry,
    private readonly replays: Replays,
    private readonly payloads: Payloads,
  ) {}

  /** The part of a flow run. */
  ofFlowRun(run: KnownFlowRun): Promise<ContextId> {
    return this.once(run, async () => {
      const { id, name, flowId, parameters, tags } = run.created;
      const recorded = (await this.replays.read(parameters)) as Record<string, unknown>;
      const { name: flowName } = this.registry.getFlowById(flowId);
      return this.register(new RunRequest(id, name, flowName, recorded, tags));
    });
  }

  /**
   * The part of the run that asks: the flow run or, outside any, the task run.
   *
   * @param args what the method that asks was called with.
   */
  async ofCurrentRun(args: readonly unknown[]): Promise<ContextId> {
    const { flowRun, taskRun } = currentScope()?.place ?? {};
    if (flowRun) return this.ofFlowRun(flowRun);
    return taskRun ? this.ofTaskRun(taskRun, args) : this.ofTask(args);
  }

  /** The part of a task run outside any flow, called with these. */
  ofTaskRun(run: KnownTaskRun, args: readonly unknown[]): Promise<ContextId> {
    return this.once(run, async () => this.ofTask(args));
  }

  /** One for a task run outside any flow, called with these. */
  ofTask(args: readonly unknown[]): ContextId {
    return this.register(new RunRequest(null, null, null, parametersOf(args, this.payloads.classes), []));
  }

  private once(run: KnownFlowRun | KnownTaskRun, make: () => Promise<ContextId>): Promise<ContextId> {
    const known = this.contexts.get(run);
    if (known) return known;
    const making = make();
    this.contexts.set(run, making);
    making.catch(() => this.contexts.delete(run)); // the next attempt may fare better
    return making;
  }

  /** Does for a run what Nest's router does for a request. */
  private register(request: RunRequest): ContextId {
    const contextId: ContextId = ContextIdFactory.getByRequest(request);
    // By this mark `ContextIdFactory.getByRequest(request)` finds the same part again.
    Object.defineProperty(request, REQUEST_CONTEXT_ID, { value: contextId });
    // Durable providers get the payload of their strategy alone, from Nest.
    this.moduleRef.registerRequestByContextId(Object.assign(request, contextId.payload), contextId);
    return contextId;
  }
}

import type { Duration } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import type { AsyncMethodName, MethodArgs, MethodResult } from './async-methods.js';
import { FlowRuns } from './flow-runs.service.js';
import { checkedRunOptions, type NewRunOptions } from './engine/new-run-options.js';
import { OrchestratorEngine } from './engine/orchestrator-engine.js';
import type { ParameterSchema } from './parameters/parameter-schema.js';
import { FlowRegistry } from './registry/flow-registry.js';

/** A run that was started: its id, and a way to its end. */
export class FlowRunHandle<Result> {
  /** @internal */
  constructor(
    readonly id: string,
    /** What people call it. */
    readonly name: string,
    private readonly flowRuns: FlowRuns,
  ) {}

  /**
   * Waits until the run has ended.
   *
   * @returns what the flow returned, as it was recorded.
   * @throws what the flow threw, as it was recorded, and the other errors of {@link FlowRuns.result}.
   */
  result(options: { readonly timeout?: Duration } = {}): Promise<Result> {
    return this.flowRuns.result(this.id, options) as Promise<Result>;
  }
}

/**
 * Starts flows in the background.
 *
 * @example
 * ```ts
 * const run = await flows.start(NightlyImport, 'importAll', { since: yesterday });
 * const report = await run.result({ timeout: '1h' });
 *
 * await flows.with({ name: 'by hand', tags: ['support'] }).start(NightlyImport, 'importAll', { since: today });
 * ```
 */
@Injectable()
export class Flows {
  private readonly starter: FlowStarter;

  constructor(
    private readonly registry: FlowRegistry,
    private readonly engine: OrchestratorEngine,
    private readonly flowRuns: FlowRuns,
  ) {
    this.starter = this.with({});
  }

  /**
   * The same with a name or tags for the runs it starts.
   *
   * @throws {InvalidRunOptionError} when they cannot be kept.
   */
  with(options: NewRunOptions): FlowStarter {
    return new FlowStarter(this.registry, this.engine, this.flowRuns, checkedRunOptions(options));
  }

  /** Starts a run without further options: see {@link FlowStarter.start}. */
  start<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<FlowRunHandle<MethodResult<T, K>>> {
    return this.starter.start(provider, method, ...args);
  }

  /**
   * What a flow takes, as a JSON schema: for a form that starts it, or for whoever calls it from outside. It says what the
   * types and decorators of the method say; of a type without any, such as an interface, that is nothing.
   *
   * @throws {FlowNotRegisteredError} when the method is no flow of this application.
   */
  parameterSchema<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
  ): ParameterSchema {
    return this.registry.getFlow(provider, method).parameters.schema;
  }
}

/** Starts flows with the same options for every run. */
export class FlowStarter {
  /** @internal */
  constructor(
    private readonly registry: FlowRegistry,
    private readonly engine: OrchestratorEngine,
    private readonly flowRuns: FlowRuns,
    private readonly options: NewRunOptions,
  ) {}

  /**
   * Starts a run and comes back as soon as the run is durable; it goes on in this process.
   *
   * @param provider the class with the flow.
   * @param method the name of the decorated method.
   * @param args what the method takes.
   * @throws {FlowNotRegisteredError} when the method is no flow of this application.
   * @throws {UnserialisableValueError} when the arguments cannot be kept.
   * @throws {EngineStoppingError} when the application shuts down.
   */
  async start<T extends object, K extends AsyncMethodName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    ...args: MethodArgs<T, K>
  ): Promise<FlowRunHandle<MethodResult<T, K>>> {
    const definition = this.registry.getFlow(provider, method);
    const { live } = await this.engine.start(definition, args, this.options);
    return new FlowRunHandle(live.created.id, live.created.name, this.flowRuns);
  }
}

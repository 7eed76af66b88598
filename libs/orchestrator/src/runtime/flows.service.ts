import type { Duration } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { FlowRuns } from './flow-runs.service.js';
import type { NewRunOptions } from './engine/flow-engine.js';
import { OrchestratorEngine } from './engine/orchestrator-engine.js';
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

type AsyncMethod = (...args: never[]) => Promise<unknown>;
type FlowName<T> = { [K in keyof T]: T[K] extends AsyncMethod ? K : never }[keyof T] & string;
type FlowArgs<T, K extends keyof T> = T[K] extends (...args: infer Args) => unknown ? Args : never;
type FlowResult<T, K extends keyof T> = T[K] extends (...args: never[]) => Promise<infer Result> ? Result : never;

/** Starts flows in the background. */
@Injectable()
export class Flows {
  constructor(
    private readonly registry: FlowRegistry,
    private readonly engine: OrchestratorEngine,
    private readonly flowRuns: FlowRuns,
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
   *
   * @example
   * ```ts
   * const run = await flows.start(NightlyImport, 'importAll', [{ since: yesterday }]);
   * const report = await run.result({ timeout: '1h' });
   * ```
   */
  async start<T extends object, K extends FlowName<T>>(
    provider: abstract new (...args: never[]) => T,
    method: K,
    args: FlowArgs<T, K>,
    options: NewRunOptions = {},
  ): Promise<FlowRunHandle<FlowResult<T, K>>> {
    const definition = this.registry.getFlow(provider, method);
    const { live } = await this.engine.start(definition, args, options);
    return new FlowRunHandle(live.created.id, live.created.name, this.flowRuns);
  }
}

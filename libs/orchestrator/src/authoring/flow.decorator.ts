import 'reflect-metadata';
import type { DeploymentOptions } from '../runtime/deployments/deployment-options.js';
import type { MethodParameters } from '../runtime/deployments/method-parameters.js';
import type { AsyncMethod, Fits, Prototype } from './async-method.js';
import { decorate } from './decorate.js';
import type { AnyDeployments, FitsDeployments } from './deployment.options.js';
import type { FlowOptions } from './flow.options.js';
import type { FitsHooks, HookNames } from './hook.options.js';

/** Metadata key of {@link Flow}. */
export const FLOW_METADATA = Symbol('nestor.flow');

/**
 * Makes a method of a provider a flow: every call of it is a run of its own, with parameters, states and a result that
 * are kept. A call from inside another flow is a subflow of that.
 *
 * The run is durable before the method starts, and its outcome is durable when the call settles. The value is the one
 * that was recorded: instances of classes arrive as plain data. An error arrives as it was thrown. Without an
 * orchestrator, as in a unit test that constructs the class, the method is an ordinary one.
 *
 * @example
 * ```ts
 * @Flow({ name: 'nightly-import', retries: 2, retryDelay: '30s', timeout: '1h' })
 * async importAll(params: ImportParams): Promise<ImportReport> { … }
 * ```
 */
export function Flow<
  M extends AsyncMethod = AsyncMethod,
  const Template extends string = string,
  const Running extends string = string,
  const Done extends string = string,
  const Failed extends string = string,
  const Cancelled extends string = string,
  const Crashed extends string = string,
  const Deployed extends AnyDeployments = readonly DeploymentOptions<MethodParameters<M>>[],
>(options: FlowOptions<M, Template, Running, Done, Failed, Cancelled, Crashed, Deployed> = {}) {
  type Names = HookNames<Running, Done, Failed, Cancelled, Crashed>;
  return <T extends object, Decorated extends M>(
    target: Prototype<T>,
    key: string,
    method: TypedPropertyDescriptor<
      Decorated & Fits<Decorated, Template> & FitsHooks<T, Decorated, Names> & FitsDeployments<Decorated, Deployed>
    >,
  ): void => {
    decorate(FLOW_METADATA, options, target, key, method as TypedPropertyDescriptor<unknown>);
  };
}

import type { DeploymentOptions } from '../runtime/deployments/deployment-options.js';
import type { MethodParameters } from '../runtime/deployments/method-parameters.js';
import type { OnDivergence } from '../runtime/replay/replay.js';
import type { AsyncMethod } from './async-method.js';
import type { AnyDeployments } from './deployment.options.js';
import type { FlowHookOptions, HookOptions } from './hook.options.js';
import type { RunOptions } from './run.options.js';

/** How a method behaves as a flow. */
export interface FlowOptions<
  M extends AsyncMethod = AsyncMethod,
  Template extends string = string,
  Running extends string = string,
  Done extends string = string,
  Failed extends string = string,
  Cancelled extends string = string,
  Crashed extends string = string,
  Deployed extends AnyDeployments = readonly DeploymentOptions<MethodParameters<M>>[],
>
  extends RunOptions<M, Template>, HookOptions<M, Running, Done, Failed>, FlowHookOptions<M, Cancelled, Crashed> {
  /**
   * What the flow is called everywhere: unique within the application, and what its runs are found by, so keep it when
   * the class or the method is renamed. Must not contain `/ % & < >`. Default: `Class.method`.
   */
  readonly name?: string;
  /**
   * What happens when a resumed run calls something else than it did before its process ended. `fail` ends it with
   * `ReplayDivergedError` before anything is executed; `warn` logs it and executes what is new; `run` executes it silently.
   * Default: `fail` when the same build runs, `warn` when the code was deployed anew in between.
   */
  readonly onDivergence?: OnDivergence;
  /**
   * Whether a run that has begun goes on in the build of the code that began it and in no other: after an interruption, a
   * pause or a failed attempt it waits for a process of that build (`buildId` of the module). For code that cannot change
   * under a run in flight; keep processes of the old build until their runs have ended. A run that has not begun is taken by
   * any build. Holds for runs that nobody else called; subflows go with their root. Default `false`.
   */
  readonly pinToBuild?: boolean;
  /**
   * Checks the parameters by the types of the method before its code runs, and converts what can be taken for them: a text
   * `"5"` for a number, plain data for a class with decorators of class-validator. A run whose parameters are wrong fails with
   * `InvalidParametersError` and is not tried again. Default `true`. See "Parameters" in the documentation of flows.
   */
  readonly validateParameters?: boolean;
  /**
   * How the flow runs on its own: at which times, with which parameters, how often at once. They are made, and made what they
   * say, when the application starts; one that is in the code no more is paused. See also {@link Schedule}. Default: none.
   */
  readonly deployments?: Deployed;
}

import { OrchestratorError } from '@nestor/core';

/** Two methods claim one flow name, so that a run of it could not be told where it belongs. */
export class FlowRegisteredTwiceError extends OrchestratorError {
  readonly code = 'FLOW_REGISTERED_TWICE';

  constructor(
    readonly flowName: string,
    /** Both methods, as `Class.method`. */
    readonly places: readonly [string, string],
  ) {
    super(
      `Flow "${flowName}" is registered twice (${places.join(', ')}); give one of them another name: @Flow({ name: '…' }).`,
    );
  }
}

/** Two tasks of one provider claim one name, so that replay could not tell them apart. */
export class TaskRegisteredTwiceError extends OrchestratorError {
  readonly code = 'TASK_REGISTERED_TWICE';

  constructor(
    readonly taskKey: string,
    readonly places: readonly [string, string],
  ) {
    super(
      `Task "${taskKey}" is registered twice (${places.join(', ')}); give one of them another name: @Task({ name: '…' }).`,
    );
  }
}

/** The method asked for is not a flow of this application. */
export class FlowNotRegisteredError extends OrchestratorError {
  readonly code = 'FLOW_NOT_REGISTERED';

  constructor(
    /** `Class.method`. */
    readonly place: string,
    readonly registered: readonly string[],
  ) {
    super(
      `${place} is not a registered flow. Decorate it with @Flow() and list ${place.split('.')[0]} among the providers of a ` +
        `module. Registered are: ${registered.length > 0 ? registered.join(', ') : 'none'}.`,
    );
  }
}

/** The method asked for is not a task of this application. */
export class TaskNotRegisteredError extends OrchestratorError {
  readonly code = 'TASK_NOT_REGISTERED';

  constructor(
    /** `Class.method`. */
    readonly place: string,
    readonly registered: readonly string[],
  ) {
    super(
      `${place} is not a registered task. Decorate it with @Task() and list ${place.split('.')[0]} among the providers of a ` +
        `module; a flow is started in the background with Flows.start(). Registered are: ` +
        `${registered.length > 0 ? registered.join(', ') : 'none'}.`,
    );
  }
}

/** A task was to be delayed, and no orchestrator is there that could keep it. */
export class OrchestratorMissingError extends OrchestratorError {
  readonly code = 'ORCHESTRATOR_MISSING';

  constructor(readonly place: string) {
    super(
      `${place} cannot be delayed: no running application has it. Import OrchestratorModule and await app.init() or ` +
        `app.listen() first; in a unit test call the method itself.`,
    );
  }
}

/** Several applications in this process registered the class, and nothing tells whose run this call should be. */
export class AmbiguousEngineError extends OrchestratorError {
  readonly code = 'ENGINE_AMBIGUOUS';

  constructor(readonly place: string) {
    super(
      `${place} is registered by several applications in this process, and this instance belongs to none of them. ` +
        `Take the instance from the application (app.get) instead of constructing it.`,
    );
  }
}

/** A guard, interceptor, pipe or filter of a flow or task would not be applied, because Nest makes no instance of its class. */
export class EnhancerNotAppliedError extends OrchestratorError {
  readonly code = 'ENHANCER_NOT_APPLIED';

  constructor(
    /** `Class.method`. */
    readonly place: string,
    readonly enhancer: string,
  ) {
    super(
      `${enhancer} would not be applied to ${place}: the provider is made by a factory, or is provided under another token ` +
        `than its class. List the class itself among the providers of a module, or give an instance: new ${enhancer}(…).`,
    );
  }
}

/** An application imports the module more than once, so that what its methods belong to, and what is injected, is chance. */
export class OrchestratorImportedTwiceError extends OrchestratorError {
  readonly code = 'ORCHESTRATOR_IMPORTED_TWICE';

  constructor() {
    super(
      'OrchestratorModule.forRoot() is imported more than once in this application. Import it once, in the root module: ' +
        'what it exports can be injected everywhere, and it finds the flows of every module.',
    );
  }
}

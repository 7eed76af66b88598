import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, ModuleRef, type ContextId } from '@nestjs/core';
import {
  directInvocation,
  Enhancers,
  type DecoratedMethod,
  type ProviderWrapper,
} from '../runtime/nest/enhancers.service.js';
import { RunContexts } from '../runtime/nest/run-contexts.service.js';
import {
  placeOf,
  type AuthoredMethod,
  type FlowDefinition,
  type ProviderClass,
  type TaskDefinition,
} from '../runtime/registry/definitions.js';
import { decoratedMethodOf } from './decorate.js';
import { FLOW_METADATA } from './flow.decorator.js';
import type { FlowOptions } from './flow.options.js';
import { parametersOfMethod } from './parameters/method-parameters.js';
import { resolvedDeployments } from './resolve-deployments.js';
import { resolvedTransactionHooks } from './resolve-transaction-hooks.js';
import { resolvedHooks } from './resolve-hooks.js';
import { InvalidOptionError, resolvedName, resolvedSettings, resolvedVersion } from './resolve-options.js';
import { resolvedTransactional } from './resolve-transactional.js';
import { schedulesOf } from './schedule.decorator.js';
import { scheduledFlow } from './scheduled-flow.js';
import { ScheduledMethods } from './scheduled-methods.js';
import { TASK_METADATA } from './task.decorator.js';
import type { TaskOptions } from './task.options.js';

/** A provider with decorated methods. */
interface ExploredProvider {
  readonly provider: ProviderClass;
  /** `null` for a provider that Nest instantiates anew per request or per consumer. */
  readonly instance: object | null;
  readonly definitions: readonly (FlowDefinition | TaskDefinition)[];
}

/** Finds the decorated methods of every provider and controller of the application; changes nothing. */
@Injectable()
export class FlowExplorer {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly moduleRef: ModuleRef,
    private readonly contexts: RunContexts,
    private readonly enhancers: Enhancers,
    private readonly scheduledMethods: ScheduledMethods,
  ) {}

  /**
   * @throws {InvalidOptionError} and {@link InvalidDurationError} for options that cannot be meant.
   * @throws {EnhancerNotAppliedError} when a method is decorated with a guard or its like that Nest would leave out.
   */
  explore(): readonly ExploredProvider[] {
    this.scheduledMethods.prepare();
    return [
      ...this.exploreAll(this.discovery.getProviders(), (method) => this.enhancers.invocationOf(method)),
      // What is around the methods of controllers belongs to their requests: Nest applies it before a run begins.
      ...this.exploreAll(this.discovery.getControllers(), ({ method }) => directInvocation(method)),
    ];
  }

  private exploreAll(wrappers: readonly ProviderWrapper[], invocationOf: InvocationOf): ExploredProvider[] {
    return wrappers.flatMap((wrapper) => this.exploreOne(wrapper, invocationOf) ?? []);
  }

  private exploreOne(wrapper: ProviderWrapper, invocationOf: InvocationOf): ExploredProvider | null {
    const instance = (wrapper.isDependencyTreeStatic() && !wrapper.isTransient ? wrapper.instance : null) as unknown;
    const provider = providerClassOf(instance, wrapper.metatype);
    if (!provider || wrapper.isAlias) return null;
    const instanceIn = async (contextId: () => ContextId | Promise<ContextId>): Promise<object> =>
      (instance as object | null) ??
      this.moduleRef.resolve<object>(wrapper.token as string, await contextId(), { strict: false });
    const receivers: Receivers = {
      receiver: (run) => instanceIn(() => (run ? this.contexts.ofFlowRun(run) : this.contexts.ofTask([]))),
      queuedReceiver: (live, args) => instanceIn(() => this.contexts.ofTaskRun(live, args)),
    };
    const definitions = this.definitionsOf(wrapper, provider, receivers, invocationOf);
    return definitions.length > 0 ? { provider, instance: instance as object | null, definitions } : null;
  }

  private definitionsOf(
    wrapper: ProviderWrapper,
    provider: ProviderClass,
    { receiver, queuedReceiver }: Receivers,
    invocationOf: InvocationOf,
  ): (FlowDefinition | TaskDefinition)[] {
    const prototype = provider.prototype as object;
    return this.scanner.getAllMethodNames(prototype).flatMap((methodName) => {
      const decorated = (prototype as Record<string, unknown>)[methodName];
      const method = typeof decorated === 'function' ? decoratedMethodOf(decorated)?.authored : undefined;
      const place = placeOf({ provider, methodName });
      const scheduled =
        typeof decorated === 'function'
          ? this.scheduledMethods.find({ provider, methodName, method: decorated })
          : null;
      const schedules = schedulesOf(prototype, methodName);
      const flow = method && (Reflect.getMetadata(FLOW_METADATA, decorated as object) as FlowOptions | undefined);
      if (schedules.length > 0 && !flow)
        throw new InvalidOptionError(place, '@Schedule()', 'is for flows; add @Flow().');
      if (scheduled && !method) {
        return scheduledFlow({ provider, methodName, method: decorated as AuthoredMethod, receiver }, scheduled);
      }
      if (scheduled && !flow) throw new InvalidOptionError(place, scheduled.decorator, 'is for flows; add @Flow().');
      if (!method) return [];
      const invoke = invocationOf({ wrapper, provider, methodName, decorated: decorated as AuthoredMethod, method });
      const common = { provider, methodName, method, invoke, receiver };
      if (flow) {
        const name = resolvedName(flow.name, place, place);
        return {
          kind: 'flow' as const,
          ...common,
          name,
          description: flow.description ?? null,
          ...resolvedVersion(flow.version, method, place),
          ...resolvedSettings(flow, place),
          hooks: resolvedHooks(flow, provider, place),
          onDivergence: flow.onDivergence,
          deployments: resolvedDeployments(
            flow.deployments,
            [...schedules, ...(scheduled?.schedule ? [scheduled.schedule] : [])],
            name,
          ),
          pinToBuild: flow.pinToBuild ?? false,
          parameters: parametersOfMethod({
            flowName: name,
            prototype,
            methodName,
            length: method.length,
            isValidated: flow.validateParameters ?? true,
          }),
        };
      }
      const task = (Reflect.getMetadata(TASK_METADATA, decorated as object) ?? {}) as TaskOptions;
      const name = resolvedName(task.name, methodName, place);
      return {
        kind: 'task' as const,
        ...common,
        name,
        taskKey: `${provider.name}.${name}`,
        subject: `task "${provider.name}.${name}"`,
        description: task.description ?? null,
        ...resolvedVersion(task.version, method, place),
        givenVersion: task.version ?? null,
        ...resolvedSettings(task, place),
        queuedReceiver,
        transactionHooks: resolvedTransactionHooks(task, prototype, place),
        hooks: resolvedHooks(task, provider, place),
        recordStart: task.recordStart ?? false,
        transactional: resolvedTransactional(task, place),
      };
    });
  }
}

/** What gives an instance to execute a run on. */
type Receivers = Pick<TaskDefinition, 'receiver' | 'queuedReceiver'>;

type InvocationOf = (method: DecoratedMethod) => FlowDefinition['invoke'];

/** The class whose prototype carries the methods: that of the instance, or the one Nest will instantiate. */
function providerClassOf(instance: unknown, metatype: unknown): ProviderClass | null {
  if (typeof instance === 'object' && instance !== null) {
    const { constructor } = instance as { constructor?: unknown };
    return typeof constructor === 'function' ? (constructor as ProviderClass) : null;
  }
  const isClass =
    typeof metatype === 'function' && typeof metatype.prototype === 'object' && metatype.prototype !== null;
  return isClass ? (metatype as unknown as ProviderClass) : null;
}

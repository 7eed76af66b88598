import { Injectable } from '@nestjs/common';
import {
  ApplicationConfig,
  ExternalContextCreator,
  ModuleRef,
  ModulesContainer,
  NestContainer,
  type ContextId,
  type DiscoveryService,
} from '@nestjs/core';
import { currentScope } from '../engine/run-scope.js';
import { placeOf, type AuthoredMethod, type ProviderClass } from '../registry/definitions.js';
import { EnhancerNotAppliedError } from '../registry/registry-errors.js';
import { argumentsFactory, argumentsMetadata } from './argument-metadata.js';
import { RunContexts } from './run-contexts.service.js';
import { standInFor } from './stand-in.js';

/** What Nest's container knows of a provider. */
export type ProviderWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** A decorated method of a provider. */
export interface DecoratedMethod {
  readonly wrapper: ProviderWrapper;
  readonly provider: ProviderClass;
  readonly methodName: string;
  /** The one that stands on the prototype, with the metadata of all decorators. */
  readonly decorated: AuthoredMethod;
  /** The one the author wrote. */
  readonly method: AuthoredMethod;
}

type Invoke = (receiver: object, args: readonly unknown[]) => Promise<unknown>;
type Enhanced = (...args: unknown[]) => Promise<unknown>;
type Enhancer = 'guards' | 'interceptors' | 'pipes' | 'filters';

/** Where `@UseGuards()` and its like put what they are given: on the method, and on the class. */
const METADATA_KEYS: Readonly<Record<Enhancer, string>> = {
  guards: '__guards__',
  interceptors: '__interceptors__',
  pipes: '__pipes__',
  filters: '__exceptionFilters__',
};

/** What `ExecutionContext.getType()` says in the enhancers of flows and tasks. */
const CONTEXT_TYPE = 'nestor';

/**
 * Puts the guards, interceptors, pipes and exception filters around methods that are decorated with them, or whose class is.
 * Which there are is known when the application starts: methods without any are called as if there were no such thing.
 *
 * Global ones are left out. They are written for requests (a guard reads headers, a filter writes a response, an interceptor
 * wraps what is sent), and Nest itself keeps them from what else an application listens to, unless it is told otherwise
 * (`inheritAppConfig` of hybrid applications).
 */
@Injectable()
export class Enhancers {
  private readonly container: NestContainer;

  constructor(
    modules: ModulesContainer,
    private readonly moduleRef: ModuleRef,
    private readonly contexts: RunContexts,
  ) {
    this.container = new WithoutGlobalEnhancers(modules);
  }

  /**
   * How an attempt calls a method.
   *
   * @throws {EnhancerNotAppliedError} when Nest would leave an enhancer out without a word.
   */
  invocationOf(target: DecoratedMethod): Invoke {
    const { wrapper, method } = target;
    const enhancers = enhancersOf(target);
    if (Object.values(enhancers).every((list) => list.length === 0)) return directInvocation(method);

    assertApplied(target, Object.values(enhancers).flat());
    const creation = new ContextCreation(this.container, target, handlerOf(target), enhancers);
    const isShared = wrapper.isDependencyTreeStatic() && !wrapper.isTransient;
    return isShared ? sharedInvocation(wrapper, creation) : this.scopedInvocation(wrapper, creation);
  }

  /** Provider or enhancers are made anew for each run: so is what is around the method. */
  private scopedInvocation(wrapper: ProviderWrapper, creation: ContextCreation): Invoke {
    return async (receiver, args) => {
      const contextId = await this.contexts.ofCurrentRun(args);
      // Nest makes the enhancers of a provider together with an instance of it: for a receiver that is none of this run, as
      // one that was made for an HTTP request, with another one.
      await this.moduleRef.resolve(wrapper.token as string, contextId, { strict: false });
      return creation.create(receiver, args.length, contextId, wrapper.id)(...args);
    };
  }
}

/** Calls a method that has no enhancers. */
export function directInvocation(method: AuthoredMethod): Invoke {
  return (receiver, args) => method.apply(receiver, args as unknown[]);
}

/** Provider and enhancers are there for as long as the application is: what is around the method is made once. */
function sharedInvocation(wrapper: ProviderWrapper, creation: ContextCreation): Invoke {
  const known = new WeakMap<object, Map<number, Enhanced>>();
  return (receiver, args) => {
    const ofReceiver = known.get(receiver) ?? new Map<number, Enhanced>();
    if (ofReceiver.size === 0) known.set(receiver, ofReceiver);
    const key = creation.keyOf(args.length);
    let enhanced = ofReceiver.get(key);
    if (!enhanced) {
      // Transient enhancers are found by the provider they were made for.
      const inquirerId = receiver === wrapper.instance ? wrapper.id : undefined;
      ofReceiver.set(key, (enhanced = creation.create(receiver, args.length, undefined, inquirerId)));
    }
    return enhanced(...args);
  };
}

/** Makes what Nest puts around one method. */
class ContextCreation {
  /** One per number of arguments: what a creator has read of a method it remembers by names, which need not be unique. */
  private readonly creators = new Map<number, ExternalContextCreator>();

  constructor(
    private readonly container: NestContainer,
    private readonly target: DecoratedMethod,
    private readonly handler: AuthoredMethod,
    private readonly enhancers: Readonly<Record<Enhancer, readonly unknown[]>>,
  ) {}

  /** Calls with so many arguments share what is around them: only pipes have to know how many there are. */
  keyOf(length: number): number {
    return this.enhancers.pipes.length > 0 ? length : 0;
  }

  create(receiver: object, length: number, contextId?: ContextId, inquirerId?: string): Enhanced {
    const { provider, methodName } = this.target;
    // Without filters of the method's own, Nest's would log what is logged with the run.
    const options = { guards: true, interceptors: true, filters: this.enhancers.filters.length > 0 };
    const key = this.keyOf(length);
    return this.creatorOf(key).create(
      receiver,
      this.handler,
      methodName,
      key > 0 ? argumentsMetadata(provider, methodName, key) : undefined,
      key > 0 ? argumentsFactory : undefined,
      contextId,
      inquirerId,
      options,
      CONTEXT_TYPE,
    );
  }

  private creatorOf(key: number): ExternalContextCreator {
    let creator = this.creators.get(key);
    if (!creator) this.creators.set(key, (creator = ExternalContextCreator.fromContainer(this.container)));
    return creator;
  }
}

/** The modules of an application without what is registered for all of its requests. */
class WithoutGlobalEnhancers extends NestContainer {
  constructor(private readonly ofApplication: ModulesContainer) {
    super(new ApplicationConfig());
  }

  override getModules(): ModulesContainer {
    return this.ofApplication;
  }
}

/**
 * What is around a method calls this in its place, and finds on it what is on the method. An attempt that ended meanwhile, as
 * its guard took too long, calls nothing.
 */
function handlerOf({ decorated, method }: DecoratedMethod): AuthoredMethod {
  const handler: AuthoredMethod = function (this: object, ...args) {
    currentScope()?.attempt.assertLive();
    return method.apply(this, args);
  };
  standInFor(decorated, handler);
  return handler;
}

function enhancersOf({ provider, decorated }: DecoratedMethod): Record<Enhancer, readonly unknown[]> {
  const on = (key: string): unknown[] =>
    [provider, decorated].flatMap((place) => (Reflect.getMetadata(key, place) ?? []) as unknown[]);
  const { guards, interceptors, pipes, filters } = METADATA_KEYS;
  return { guards: on(guards), interceptors: on(interceptors), pipes: on(pipes), filters: on(filters) };
}

/**
 * Nest makes instances of enhancer classes for providers that it makes itself. It leaves them out where a factory made the
 * provider and, in its earlier releases, where that is provided under another token: without its guard, anybody would be let in.
 */
function assertApplied(target: DecoratedMethod, enhancers: readonly unknown[]): void {
  const injectables = target.wrapper.host?.injectables;
  for (const enhancer of enhancers) {
    if (typeof enhancer === 'function' && !injectables?.has(enhancer)) {
      throw new EnhancerNotAppliedError(placeOf(target), enhancer.name);
    }
  }
}

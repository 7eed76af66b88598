import type { CallOptions } from './call-options.js';
import type { AuthoredMethod, ProviderClass } from './definitions.js';
import { AmbiguousEngineError } from './registry-errors.js';

/** What a decorated method calls instead of its own body. */
export interface CallEngine {
  /** Whether `method` is what is registered here for that class and name; one that it overrides is not. */
  knows(provider: ProviderClass, methodName: string, method: AuthoredMethod): boolean;
  /** Runs the method as the flow or task that it is. */
  call(
    provider: ProviderClass,
    methodName: string,
    receiver: object,
    args: readonly unknown[],
    options?: CallOptions | null,
  ): Promise<unknown>;
}

// Decorated methods are found on prototypes that several applications in one process may share, so which engine is whose
// is kept outside of them. Instances are held weakly: a request-scoped one dies with its request.
const engineOfInstance = new WeakMap<object, CallEngine>();
const enginesOfClass = new WeakMap<ProviderClass, Set<CallEngine>>();

export function bindInstance(instance: object, engine: CallEngine): void {
  engineOfInstance.set(instance, engine);
}

export function bindClass(provider: ProviderClass, engine: CallEngine): void {
  const engines = enginesOfClass.get(provider) ?? new Set();
  enginesOfClass.set(provider, engines.add(engine));
}

/** Lets go of a class when its application closes: its methods are plain methods again. */
export function unbindClass(provider: ProviderClass, engine: CallEngine): void {
  enginesOfClass.get(provider)?.delete(engine);
}

/** Applications that were created and have not bound their classes yet. */
const starting = new Set<object>();

/** Notes that an application is on its way; returns how to take that back. */
export function noteStarting(): () => void {
  const application = {};
  starting.add(application);
  return () => starting.delete(application);
}

/** Whether some application in this process was created and is not initialised yet. */
export function isStarting(): boolean {
  return starting.size > 0;
}

/** A call of a decorated method, of which it is asked whose run it is. */
interface DecoratedCall {
  readonly receiver: object;
  readonly provider: ProviderClass;
  readonly methodName: string;
  readonly method: AuthoredMethod;
}

/**
 * Whose run a call is: that of the application the instance belongs to; else of the run that makes the call; else of the
 * only application that registered the class. `undefined` when there is none, because the application was closed, or the
 * call is one of `super`: the method is then an ordinary one.
 *
 * @throws {AmbiguousEngineError} when several applications registered the class and neither of the former tells.
 */
export function engineFor(
  { receiver, provider, methodName, method }: DecoratedCall,
  ambient: CallEngine | undefined,
): CallEngine | undefined {
  const engines = enginesOfClass.get(provider);
  if (!engines || engines.size === 0) return undefined;
  const knows = (engine: CallEngine): boolean => engine.knows(provider, methodName, method);
  const own = engineOfInstance.get(receiver);
  if (own) return engines.has(own) && knows(own) ? own : undefined;
  if (ambient && knows(ambient)) return ambient;
  const [only, ...others] = [...engines].filter(knows);
  if (others.length > 0) throw new AmbiguousEngineError(`${provider.name}.${methodName}`);
  return only;
}

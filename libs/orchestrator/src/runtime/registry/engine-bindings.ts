import type { ProviderClass } from './definitions.js';
import { AmbiguousEngineError } from './registry-errors.js';

/** What a decorated method calls instead of its own body. */
export interface CallEngine {
  /** Whether the method of that class is registered here. */
  knows(provider: ProviderClass, methodName: string): boolean;
  /** Runs the method as the flow or task that it is. */
  call(provider: ProviderClass, methodName: string, receiver: object, args: readonly unknown[]): Promise<unknown>;
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

/**
 * Whose run a call is: that of the application the instance belongs to; else of the run that makes the call; else of the
 * only application that registered the class. `undefined` when there is none: the method is then an ordinary one.
 *
 * @throws {AmbiguousEngineError} when several applications registered the class and neither of the former tells.
 */
export function engineFor(
  receiver: object,
  provider: ProviderClass,
  methodName: string,
  ambient: CallEngine | undefined,
): CallEngine | undefined {
  const engines = enginesOfClass.get(provider);
  if (!engines || engines.size === 0) return undefined;
  const own = engineOfInstance.get(receiver);
  if (own && engines.has(own)) return own;
  if (ambient?.knows(provider, methodName)) return ambient;
  if (engines.size > 1) throw new AmbiguousEngineError(`${provider.name}.${methodName}`);
  return engines.values().next().value;
}

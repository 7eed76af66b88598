import { Logger, SetMetadata } from '@nestjs/common';
import type { AuthoredMethod, ProviderClass } from '../runtime/registry/definitions.js';
import type { CallOptions } from '../runtime/registry/call-options.js';
import { currentScope } from '../runtime/engine/run-scope.js';
import { standInFor } from '../runtime/nest/stand-in.js';
import { OrchestratorMissingError } from '../runtime/registry/registry-errors.js';
import { engineFor, isStarting, type CallEngine } from '../runtime/registry/engine-bindings.js';

/** A decorated method, taken apart. */
interface Decorated {
  readonly authored: AuthoredMethod;
  /** Calls it on an instance, with what the call asks for besides its arguments. */
  readonly call: (receiver: object, args: unknown[], options: CallOptions | null) => Promise<unknown>;
}

/** From the dispatching method that stands on the prototype to what is behind it. */
const decoratedMethods = new WeakMap<object, Decorated>();

/**
 * Puts a dispatching method in the place of the authored one: it hands the call to the engine that the instance belongs
 * to, and is the authored method itself where there is none, as in a unit test. Metadata of other decorators, applied
 * before or after, are found on it as they would be on the method.
 */
export function decorate(
  metadataKey: symbol,
  options: object,
  target: object,
  methodName: string,
  descriptor: TypedPropertyDescriptor<unknown>,
): void {
  const authored = descriptor.value as AuthoredMethod;

  const call: Decorated['call'] = (receiver, args, callOptions) => {
    const provider = receiver.constructor as ProviderClass;
    const scope = currentScope();
    let engine: CallEngine | undefined;
    try {
      engine = engineFor({ receiver, provider, methodName, method: authored }, scope?.engine);
      // Code of a run that is over may call after its application was closed; that does not make its calls ordinary.
      if (!engine) scope?.attempt.assertLive();
    } catch (error) {
      return Promise.reject(error); // an async method throws nothing on the spot
    }
    if (engine) return engine.call(provider, methodName, receiver, args, callOptions);
    if (callOptions?.delayed) return Promise.reject(new OrchestratorMissingError(`${provider.name}.${methodName}`));
    if (isStarting()) warnOnce(`${provider.name}.${methodName}`);
    if (callOptions?.upstream)
      return callOptions.upstream.resolve().then((known) => authored.apply(receiver, [...known]));
    return authored.apply(receiver, args);
  };
  const dispatch = function (this: object, ...args: unknown[]): Promise<unknown> {
    // An unbound method has no instance to tell its engine by; it fails as any unbound method does.
    if (this === undefined || this === null) return authored.apply(this as unknown as object, args);
    return call(this, args, null);
  };
  standInFor(authored, dispatch);
  decoratedMethods.set(dispatch, { authored, call });
  descriptor.value = dispatch;
  SetMetadata(metadataKey, options)(target, methodName, descriptor);
}

const warned = new Set<string>();

/** A call between `NestFactory.create()` and `app.init()` would otherwise go unrecorded without a word. */
function warnOnce(place: string): void {
  if (warned.has(place)) return;
  warned.add(place);
  new Logger('Nestor').warn(
    `${place} was called before its application was initialised: it ran as an ordinary method and nothing was recorded. ` +
      `Await app.init() or app.listen() first, or call it from onApplicationBootstrap.`,
  );
}

/** What is behind a decorated method; `undefined` for any other. */
export function decoratedMethodOf(method: object): Decorated | undefined {
  return decoratedMethods.get(method);
}

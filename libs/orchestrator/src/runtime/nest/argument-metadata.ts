import type { ProviderClass } from '../registry/definitions.js';

/** How Nest numbers the body of a request, which is what pipes take the arguments of message handlers for as well. */
const BODY = 3;

/**
 * Says, in the form of Nest's parameter decorators, that pipes get each argument of a call as it is; gives the key under which
 * that is kept. As with handlers of messages the type of an argument is `body`; of several it has a name, its position.
 */
export function argumentsMetadata(provider: ProviderClass, methodName: string, length: number): string {
  const key = `nestor.arguments.${length}`;
  const parameters = Array.from({ length }, (_, index) => [
    `${BODY}:${index}`,
    { index, data: length === 1 ? undefined : String(index), pipes: [] },
  ]);
  Reflect.defineMetadata(key, Object.fromEntries(parameters), provider, methodName);
  return key;
}

/** Finds the arguments again that {@link argumentsMetadata} describes. */
export const argumentsFactory = {
  exchangeKeyForValue: (_type: number, position: unknown, args: readonly unknown[]): unknown =>
    args[Number(position ?? 0)],
};

import type { RetryPolicy } from '@nestor/core';
import type { OnDivergence } from '../replay/replay.js';

/** A class whose instances carry decorated methods. */
export type ProviderClass = abstract new (...args: never[]) => object;

/** The undecorated method, called with its instance as `this`. */
export type AuthoredMethod = (this: object, ...args: unknown[]) => Promise<unknown>;

/** A decorated method with its options resolved: what the engine needs to run it. */
interface Definition {
  /** Unique among flows, or among the tasks of its provider. */
  readonly name: string;
  readonly provider: ProviderClass;
  readonly methodName: string;
  readonly method: AuthoredMethod;
  readonly policy: RetryPolicy;
  /** `null` when it may take as long as it likes. */
  readonly timeoutMs: number | null;
}

export interface FlowDefinition extends Definition {
  readonly kind: 'flow';
  /** Gives an instance to run the flow on when nobody called a method of one: injected, fresh if so scoped. */
  readonly receiver: () => Promise<object>;
  /** `undefined` leaves it to the build: see `Replays`. */
  readonly onDivergence: OnDivergence | undefined;
}

export interface TaskDefinition extends Definition {
  readonly kind: 'task';
  /** The name qualified by the provider: what a replayed call is recognised by. */
  readonly taskKey: string;
  /** For messages: `task "Orders.ship"`. */
  readonly subject: string;
  /** Whether it must run at most once. */
  readonly recordStart: boolean;
}

/** `DependencyAudit.audit`: where a definition was written, for messages. */
export function placeOf({ provider, methodName }: { provider: { name: string }; methodName: string }): string {
  return `${provider.name}.${methodName}`;
}

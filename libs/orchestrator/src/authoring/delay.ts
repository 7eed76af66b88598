import type { BackgroundTaskHandle } from '../runtime/background/background-task-handle.js';
import { checkedDelay, type DelayOptions } from '../runtime/background/delay-options.js';
import { callView, resolvedChanges } from './call-view.js';

/** A provider whose tasks are delayed; what is no asynchronous method is `never`. */
export type Delaying<T> = { readonly [Key in keyof T]: Delayed<T[Key]> };

type Delayed<Method> = Method extends (...args: infer Args) => Promise<infer Result>
  ? (...args: Args) => Promise<BackgroundTaskHandle<Result>>
  : never;

/**
 * The same provider, whose tasks are put into the queue in place of being executed: each call gives a
 * {@link BackgroundTaskHandle} as soon as the run is durable, or part of the transaction that was given. Whichever process of
 * the application comes first executes it, at least once, with the retries and the timeout of the task.
 *
 * @example
 * ```ts
 * await delay(this.mails).sendReceipt(order.id);
 * await delay(this.mails, { in: '3d' }).askForReview(order.id);
 * await this.dataSource.transaction(async (manager) => {
 *   await manager.insert(Order, order);
 *   await delay(this.mails, { transaction: manager }).sendReceipt(order.id); // goes out if the order is there
 * });
 * ```
 * @throws {InvalidRunOptionError} and {@link InvalidDurationError} when an option cannot be meant. A call rejects with
 * {@link TaskNotRegisteredError} for a flow, {@link OrchestratorMissingError} outside any application,
 * {@link UnserialisableValueError} for arguments that cannot be kept; with a transaction {@link NoTransactionError},
 * {@link OtherDatabaseError} and {@link QueuePermissionError} before anything is written.
 */
export function delay<T extends object>(provider: T, options: DelayOptions = {}): Delaying<T> {
  const call = { ...resolvedChanges({}, 'delay'), trace: null, upstream: null, delayed: checkedDelay(options) };
  return callView(provider, 'delay', (begin, args) => begin(args, call)) as Delaying<T>;
}

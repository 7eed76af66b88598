import 'reflect-metadata';
import type { AsyncMethod, Fits, Prototype } from './async-method.js';
import { decorate } from './decorate.js';
import type { FitsHooks, HookNames } from './hook.options.js';
import type { TaskOptions } from './task.options.js';

/** Metadata key of {@link Task}. */
export const TASK_METADATA = Symbol('nestor.task');

/**
 * Makes a method of a provider a task: within a flow, every call of it is a step with states and a recorded outcome.
 *
 * The outcome is durable when the call settles. The value is the one that was recorded: instances of classes without a codec
 * arrive as plain data, errors of classes that are neither the language's own nor registered as `RecordedError`, with name,
 * code and fields. A task may call other tasks; one that is called outside any flow is a run of its own.
 *
 * @example
 * ```ts
 * @Task({ retries: 3, retryDelay: ['1s', '10s', '1m'], timeout: '30s' })
 * async fetchPage(url: string): Promise<Page> { … }
 * ```
 */
export function Task<
  M extends AsyncMethod = AsyncMethod,
  const Template extends string = string,
  const Running extends string = string,
  const Done extends string = string,
  const Failed extends string = string,
>(options: TaskOptions<M, Template, Running, Done, Failed> = {}) {
  type Names = HookNames<Running, Done, Failed>;
  return <T extends object, Decorated extends M>(
    target: Prototype<T>,
    key: string,
    method: TypedPropertyDescriptor<Decorated & Fits<Decorated, Template> & FitsHooks<T, Decorated, Names>>,
  ): void => {
    decorate(TASK_METADATA, options, target, key, method as TypedPropertyDescriptor<unknown>);
  };
}

import { OrchestratorError } from '@nestor/core';
import type { CallOptions } from '../runtime/registry/call-options.js';
import type { RunSettings } from '../runtime/registry/definitions.js';
import { decoratedMethodOf } from './decorate.js';
import { InvalidOptionError, resolvedSettings } from './resolve-options.js';
import type { RunOptions } from './run.options.js';
import type { TaskOptions } from './task.options.js';

/** A method was called through `withOptions` or `submit` that is neither a flow nor a task. */
export class NotDecoratedError extends OrchestratorError {
  readonly code = 'NOT_DECORATED';

  constructor(
    /** `Class.method`. */
    readonly place: string,
    via: string,
  ) {
    super(`${place} was called through ${via} and is neither a flow nor a task; decorate it, or call it directly.`);
  }
}

/** What a call may change about the options of the method, for this call alone. */
export interface CallChanges extends Pick<
  RunOptions & TaskOptions,
  | ('retries' | 'retryDelay' | 'retryJitter' | 'retryCondition' | 'timeout' | 'tags' | 'runName' | 'persistResult')
  | ('cachePolicy' | 'cacheKey' | 'resultKey' | 'cacheExpiration' | 'refreshCache' | 'cacheIsolation')
  | 'captureConsole'
> {
  /**
   * Names the call within its part of the run, so that a resumed run recognises it by that and not by its inputs. Worth it
   * where inputs differ from attempt to attempt, or have no form that can be compared.
   */
  readonly key?: string;
}

/** What is done with a call of a decorated method. */
type CallHandler = (
  call: (args: unknown[], options: CallOptions | null) => Promise<unknown>,
  args: unknown[],
  methodName: string,
) => unknown;

/** The decorated methods of a provider, each of whose calls goes through `handle`. */
export function callView(provider: object, via: string, handle: CallHandler): object {
  return new Proxy(provider, {
    get(target, property): unknown {
      const value = Reflect.get(target, property, target) as unknown;
      if (typeof property === 'symbol') return value;
      const decorated = typeof value === 'function' ? decoratedMethodOf(value) : undefined;
      if (!decorated) {
        if (property === 'then' || value === undefined) return undefined; // awaiting the view itself is no call
        throw new NotDecoratedError(`${target.constructor.name}.${property}`, via);
      }
      return (...args: unknown[]) => handle((given, options) => decorated.call(target, given, options), args, property);
    },
  });
}

/** What a call asks for, resolved once for all calls of a view. */
export function resolvedChanges(
  changes: CallChanges,
  via: string,
): Pick<CallOptions, 'settings' | 'key' | 'refreshCache'> {
  const all = resolvedSettings(changes, via);
  const given = (...names: (keyof CallChanges)[]): boolean => names.some((name) => changes[name] !== undefined);
  const settings: Partial<RunSettings> = {
    ...(given('retries', 'retryDelay', 'retryJitter') && { policy: all.policy }),
    ...(given('retryCondition') && { retryCondition: all.retryCondition }),
    ...(given('timeout') && { timeoutMs: all.timeoutMs }),
    ...(given('tags') && { tags: all.tags }),
    ...(given('runName') && { runName: all.runName }),
    ...(given('persistResult') && { persistResult: all.persistResult }),
    ...(given('cachePolicy', 'cacheKey', 'resultKey') && { caching: all.caching }),
    ...(given('captureConsole') && { captureConsole: all.captureConsole }),
  };
  if (given('cacheExpiration', 'cacheIsolation') && !given('cachePolicy', 'cacheKey', 'resultKey')) {
    const option = given('cacheExpiration') ? 'cacheExpiration' : 'cacheIsolation';
    throw new InvalidOptionError(
      via,
      option,
      'says how an outcome is remembered; give what by as well, such as cachePolicy.',
    );
  }
  const refreshCache = given('refreshCache') ? (changes.refreshCache ?? null) : null;
  return { settings, key: changes.key ?? null, refreshCache };
}

import type { CompletionContext, FailureContext, HookContext } from '../runtime/hooks/hook-context.js';
import type { AsyncMethod } from './async-method.js';

/** A function, or the name of a public method of the provider, which then has its `this` and what is injected into it. */
type Hook<Context, Name extends string> = Name | ((context: Context) => unknown);
type Hooks<Context, Name extends string> = Hook<Context, Name> | readonly Hook<Context, Name>[];

/**
 * What is called when a run enters a state: one hook or a list, called one after the other and awaited before the call of the
 * flow or task settles. What a hook throws is logged with the run and changes nothing.
 *
 * Hooks are no part of the run: what they call is not. Those of a state that ends the run are called at least once, after a
 * crash by another process; usually exactly once.
 *
 * The type parameters after the first are the methods that are named, by list.
 */
export interface HookOptions<
  M extends AsyncMethod,
  Running extends string,
  Done extends string,
  Failed extends string,
> {
  /** Before the method is called, for every attempt, and when a run goes on after a crash or a suspension. Default: none. */
  readonly onRunning?: Hooks<HookContext<M>, Running>;
  /** When the run is `COMPLETED`. Default: none. */
  readonly onCompletion?: Hooks<CompletionContext<M>, Done>;
  /** When the run is `FAILED`; not when it is tried again. Default: none. */
  readonly onFailure?: Hooks<FailureContext<M>, Failed>;
}

/** What only flows have. */
export interface FlowHookOptions<M extends AsyncMethod, Cancelled extends string, Crashed extends string> {
  /** When the run is `CANCELLED`, after its methods have settled or were cut off, whoever ended it. Default: none. */
  readonly onCancellation?: Hooks<HookContext<M>, Cancelled>;
  /** When the run is `CRASHED`, whoever said so; in whichever process has the flow. Default: none. */
  readonly onCrashed?: Hooks<HookContext<M>, Crashed>;
}

/** The methods that are named as hooks, by list. */
export interface HookNames<Running, Done, Failed, Cancelled = never, Crashed = never> {
  readonly onRunning: Running;
  readonly onCompletion: Done;
  readonly onFailure: Failed;
  readonly onCancellation: Cancelled;
  readonly onCrashed: Crashed;
}

interface Contexts<M extends AsyncMethod> {
  readonly onRunning: HookContext<M>;
  readonly onCompletion: CompletionContext<M>;
  readonly onFailure: FailureContext<M>;
  readonly onCancellation: HookContext<M>;
  readonly onCrashed: HookContext<M>;
}

type AnyNames = HookNames<string, string, string, string, string>;

/** What a method is checked against besides: that its class has the methods which are named, and they take what they are told. */
export type FitsHooks<T, M extends AsyncMethod, Names extends AnyNames> = {
  [List in keyof AnyNames]: Unsuited<T, Contexts<M>[List], Names[List]>;
}[keyof AnyNames] extends never
  ? unknown
  : {
      'A hook names what is no public method, or one that takes something else': {
        [List in keyof AnyNames]: Unsuited<T, Contexts<M>[List], Names[List]>;
      }[keyof AnyNames];
    };

/** Those of the names that cannot be called; none when they are not known. */
type Unsuited<T, Context, Name extends string> = string extends Name
  ? never
  : Name extends keyof T
    ? T[Name] extends (context: Context) => unknown
      ? never
      : Name
    : Name;

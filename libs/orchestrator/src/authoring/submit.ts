import { OrchestratorError } from '@nestor/core';
import { currentScope, withScope } from '../runtime/engine/run-scope.js';
import type { CallTrace } from '../runtime/registry/call-options.js';
import { callView, resolvedChanges } from './call-view.js';
import { TaskFuture, TaskFutures } from './task-future.js';
import { Annotated, upstreamOf, type Resolvable } from './upstream.js';
import type { WithOptions } from './with-options.js';

/** The lists that `submitAll` was given cannot be mapped together. */
export class InvalidMappingError extends OrchestratorError {
  readonly code = 'INVALID_MAPPING';
}

export type SubmitOptions = Omit<WithOptions, 'returnState'>;

/**
 * A provider whose flows and tasks are submitted; what is none of them is `never`. (Keys are not filtered: of the type of
 * `this`, which is not known within a class, nothing would be left.)
 */
export type Submitting<T> = { readonly [Key in keyof T]: Submitted<T[Key]> };

type Submitted<Method> = Method extends (...args: infer Args) => Promise<infer Result>
  ? (...args: { [Index in keyof Args]: Resolvable<Args[Index]> }) => TaskFuture<Result>
  : never;

/** A provider whose flows and tasks are submitted once for each element of the lists they are given. */
export type SubmittingAll<T> = { readonly [Key in keyof T]: SubmittedAll<T[Key]> };

type SubmittedAll<Method> = Method extends (...args: infer Args) => Promise<infer Result>
  ? (
      ...args: {
        [Index in keyof Args]: Iterable<Resolvable<Args[Index]>> | Annotated<Args[Index]> | NotIterable<Args[Index]>;
      }
    ) => TaskFutures<Result>
  : never;
type NotIterable<Value> = Value extends string ? Value : Value extends Iterable<unknown> ? never : Value;

/**
 * The same provider, whose flows and tasks are begun without being waited for: each call gives a {@link TaskFuture}. Futures
 * of other calls may be arguments, also within lists and plain objects: the call waits for them and gets what they give. If one
 * of them does not complete, the call is never made: its run stays `PENDING`, named `NotReady`, and its future fails with
 * `UpstreamError`; see `allowFailure`.
 *
 * @example
 * ```ts
 * const page = submit(this).fetchPage(url);
 * const links = submit(this).linksOf(page);          // begins when the page is there
 * const report = await submit(this).report(page, links).result();
 * ```
 * @throws {InvalidOptionError} and its like when an option cannot be meant.
 */
export function submit<T extends object>(provider: T, options: SubmitOptions = {}): Submitting<T> {
  const begin = submission(options);
  return callView(provider, 'submit', begin) as Submitting<T>;
}

/**
 * The same provider, whose flows and tasks are submitted once for each element of the lists they are given: all lists are gone
 * through together. A text, and whatever is no list, is the same for every call; so is a list within `unmapped(…)`.
 *
 * @example `const sums = await submitAll(this).add([1, 2, 3], 10).results();`
 * @throws {InvalidMappingError} when the lists differ in length, or there is none.
 */
export function submitAll<T extends object>(provider: T, options: SubmitOptions = {}): SubmittingAll<T> {
  const begin = submission(options);
  return callView(provider, 'submitAll', (call, args, methodName) => {
    const rows = rowsOf(args, methodName);
    const scope = currentScope();
    const futures = rows.map((row, index) =>
      scope ? withScope(scope.within(scope.branch.item(index)), () => begin(call, row)) : begin(call, row),
    );
    return TaskFutures.from(futures);
  }) as SubmittingAll<T>;
}

type Call = Parameters<Parameters<typeof callView>[2]>[0];

function submission({ waitFor = [], ...changes }: SubmitOptions): (call: Call, args: unknown[]) => TaskFuture {
  const resolved = resolvedChanges(changes, 'submit');
  return (call, args) => {
    const trace: CallTrace = { run: null };
    return new TaskFuture(trace, call(args, { ...resolved, trace, upstream: upstreamOf(args, waitFor) }));
  };
}

function rowsOf(args: readonly unknown[], methodName: string): unknown[][] {
  const columns = args.map((arg) => (isMapped(arg) ? [...arg] : null));
  const lengths = new Set(columns.flatMap((column) => (column ? [column.length] : [])));
  const [length] = lengths;
  if (length === undefined) {
    throw new InvalidMappingError(`submitAll was given no list for ${methodName}; use submit for a single call.`);
  }
  if (lengths.size > 1) {
    throw new InvalidMappingError(
      `submitAll was given lists of ${[...lengths].join(' and ')} elements for ${methodName}; they must be equally long. ` +
        `A list that is to be the same for every call is given as unmapped(…).`,
    );
  }
  return Array.from({ length }, (_, index) =>
    args.map((arg, column) => {
      const list = columns[column];
      if (list) return list[index];
      return arg instanceof Annotated && arg.kind === 'unmapped' ? (arg.value as unknown) : arg;
    }),
  );
}

function isMapped(arg: unknown): arg is Iterable<unknown> {
  return typeof arg === 'object' && arg !== null && Symbol.iterator in arg;
}

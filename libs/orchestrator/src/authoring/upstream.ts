import type { TaskInput, TaskInputs } from '../records/task-runs/task-inputs.js';
import type { TracedRun, Upstream } from '../runtime/registry/call-options.js';
import { RunState } from './run-state.js';
import { resultOfUpstream, TaskFuture } from './task-future.js';

type AnnotationKind = 'allow-failure' | 'quote' | 'opaque' | 'unmapped';

/** A value with a word about how it is to be taken as an argument. */
export class Annotated<Value> {
  /** @internal */
  constructor(
    readonly kind: AnnotationKind,
    readonly value: Value,
  ) {}
}

/** Takes the error of a call that failed as the argument, in place of not running at all. */
export function allowFailure<Value>(upstream: TaskFuture<Value> | RunState<Value>): Annotated<Value> {
  return new Annotated('allow-failure', upstream as unknown as Value);
}

/** Takes a value as it stands: futures within it are not waited for, and no dependency is recorded. */
export function quote<Value>(value: Value): Annotated<Value> {
  return new Annotated('quote', value);
}

/** Waits for the value itself, if it is a future, and looks at nothing within it. Worth it for large values. */
export function opaque<Value>(value: Value | TaskFuture<Value>): Annotated<Value> {
  return new Annotated('opaque', value as Value);
}

/** The same value for every call of `submitAll`, also when it is a list. */
export function unmapped<Value>(value: Value): Annotated<Value> {
  return new Annotated('unmapped', value);
}

/**
 * What an argument of a submitted call may be: the value, or what it will come from; also deep within
 * lists and plain objects.
 */
export type Resolvable<Value> =
  | Value
  | TaskFuture<Value>
  | RunState<Value>
  | Annotated<Value>
  | (Value extends readonly (infer Member)[]
      ? readonly Resolvable<Member>[]
      : Value extends object
        ? { readonly [Key in keyof Value]: Resolvable<Value[Key]> }
        : never);

/**
 * What the arguments of a call wait for; `null` when they are all there.
 *
 * @param waitFor what the call waits for besides, without getting it.
 */
export function upstreamOf(args: readonly unknown[], waitFor: readonly unknown[]): Upstream | null {
  if (waitFor.length === 0 && !args.some(hasReference)) return null;
  return {
    marks: [...args, ...(waitFor.length > 0 ? [{ waitFor }] : [])].map(markOf),
    inputs: () => inputsOf(args, waitFor),
    resolve: async () => {
      await Promise.all(waitFor.map(resolved));
      return Promise.all(args.map(resolved));
    },
  };
}

function inputsOf(args: readonly unknown[], waitFor: readonly unknown[]): TaskInputs {
  const [only] = args;
  const byName = args.length === 1 && isPlain(only) ? Object.entries(only) : Object.entries(args);
  const named = [...byName, ['wait_for', waitFor] as const];
  const found = named.map(([name, value]) => [name, inputsIn(value)] as const);
  return Object.fromEntries(found.filter(([, inputs]) => inputs.length > 0));
}

function hasReference(value: unknown): boolean {
  return isReference(value) || membersOf(value).some(hasReference);
}

function isReference(value: unknown): value is TaskFuture | RunState | Annotated<unknown> {
  return value instanceof TaskFuture || value instanceof RunState || value instanceof Annotated;
}

/** Whatever a value may hold references in: lists and plain objects; instances of classes are taken as they stand. */
function membersOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  return isPlain(value) ? Object.values(value) : [];
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null;
}

/** The same value with `change` applied to every reference in it. */
function withReferences(
  value: unknown,
  change: (reference: TaskFuture | RunState | Annotated<unknown>) => unknown,
): unknown {
  if (isReference(value)) return change(value);
  if (!hasReference(value)) return value;
  if (Array.isArray(value)) return value.map((member) => withReferences(member, change));
  const entries = Object.entries(value as Record<string, unknown>);
  return Object.fromEntries(entries.map(([name, member]) => [name, withReferences(member, change)]));
}

/** What a call is recognised by while its arguments are not there: which calls they come from. */
function markOf(value: unknown): unknown {
  return withReferences(value, (reference) => {
    if (reference instanceof TaskFuture) return { future: reference.tracedRun?.key ?? null };
    if (reference instanceof RunState) return { state: reference.details.taskRunId ?? reference.details.flowRunId };
    const { kind, value: annotated } = reference;
    return { [kind]: kind === 'quote' ? annotated : markOf(annotated) };
  });
}

function inputsIn(value: unknown): TaskInput[] {
  if (value instanceof Annotated) {
    if (value.kind === 'quote') return [];
    return value.kind === 'opaque' && !isReference(value.value) ? [] : inputsIn(value.value);
  }
  if (value instanceof TaskFuture) return inputOf(value.tracedRun?.kind ?? 'task-run', value.runId);
  if (value instanceof RunState) {
    const { taskRunId, flowRunId } = value.details;
    return taskRunId === undefined ? inputOf('flow-run', flowRunId ?? null) : inputOf('task-run', taskRunId);
  }
  return membersOf(value).flatMap(inputsIn);
}

function inputOf(kind: TracedRun['kind'], id: string | null): TaskInput[] {
  return id === null ? [] : [{ input_type: kind === 'task-run' ? 'task_run' : 'flow_run', id }];
}

/** The value with every reference in it replaced by what it gives. @throws {UpstreamError} when one did not complete. */
async function resolved(value: unknown): Promise<unknown> {
  if (!hasReference(value)) return value;
  const waiting: Promise<void>[] = [];
  const results = new Map<object, unknown>();
  withReferences(value, (reference) => {
    waiting.push(resultOf(reference).then((result) => void results.set(reference, result)));
  });
  await Promise.all(waiting);
  return withReferences(value, (reference) => results.get(reference));
}

async function resultOf(reference: TaskFuture | RunState | Annotated<unknown>): Promise<unknown> {
  if (reference instanceof TaskFuture) return reference.asUpstream();
  if (reference instanceof RunState) return resultOfUpstream(reference, 'the run of a state');
  const { kind, value } = reference;
  if (kind === 'quote') return value;
  if (kind === 'allow-failure') return resultOrError(value as TaskFuture | RunState);
  return kind === 'opaque' && !isReference(value) ? value : resolved(value);
}

async function resultOrError(upstream: TaskFuture | RunState): Promise<unknown> {
  const state = upstream instanceof TaskFuture ? await upstream.wait() : upstream;
  try {
    return state?.result();
  } catch (error) {
    return error;
  }
}

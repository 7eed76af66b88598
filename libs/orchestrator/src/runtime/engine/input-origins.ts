import type { TaskInput, TaskInputs } from '../../records/task-runs/task-inputs.js';
import { parametersOf } from './parameters.js';

/** Which task run gave an object, for as long as somebody has it. Texts and numbers have no identity to be told by. */
const origins = new WeakMap<object, string>();

/** How many members of a list or an object are looked at: an edge of the graph is not worth more. */
const MAX_MEMBERS = 100;

/** Notes that a task run gave this value to its caller. */
export function noteOrigin<T>(value: T, taskRunId: string): T {
  if (typeof value === 'object' && value !== null) origins.set(value, taskRunId);
  return value;
}

/**
 * Which task runs the arguments of a call come from: those whose results they are, or hold, so that the graph of a run can
 * be drawn. `null` when there are none.
 */
export function taskInputsOf(args: readonly unknown[]): TaskInputs | null {
  if (!args.some((arg) => typeof arg === 'object' && arg !== null)) return null;
  const inputs: Record<string, readonly TaskInput[]> = {};
  let isEmpty = true;
  for (const [name, value] of Object.entries(parametersOf(args))) {
    const ids = originsOf(value);
    if (ids.size === 0) continue;
    isEmpty = false;
    inputs[name] = [...ids].map((id) => ({ input_type: 'task_run', id }));
  }
  const [only] = args;
  const whole = args.length === 1 && typeof only === 'object' && only !== null ? origins.get(only) : undefined;
  if (whole !== undefined) return { '0': [{ input_type: 'task_run', id: whole }] };
  return isEmpty ? null : inputs;
}

function originsOf(value: unknown): ReadonlySet<string> {
  const ids = new Set<string>();
  if (typeof value !== 'object' || value === null) return ids;
  const own = origins.get(value);
  if (own !== undefined) return ids.add(own);
  const members: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const member of members.slice(0, MAX_MEMBERS)) {
    const id = typeof member === 'object' && member !== null ? origins.get(member) : undefined;
    if (id !== undefined) ids.add(id);
  }
  return ids;
}

import type { ClassRegistry } from '@nestor/core';
import { derivedId, newId } from '../../persistence/ids.js';
import { currentScope } from './run-scope.js';

/** Whether the code that asks is part of a run, which may make its calls again. */
export function isWithinRun(): boolean {
  const scope = currentScope();
  return scope !== undefined && (scope.flowRun ?? scope.place.taskRun) !== null;
}

/**
 * The id of a run that is asked for: the same for the same call of the same run, so that a run that goes on after a crash finds
 * what it asked for before; a new one outside any run.
 *
 * @param what tells apart what is asked for.
 */
export function idOfCall(what: string, args: readonly unknown[], classes: ClassRegistry): string {
  const scope = currentScope();
  const run = scope?.flowRun ?? scope?.place.taskRun;
  if (!scope || !run) return newId();
  const call = scope.branch.keyOf(what, args, classes);
  return derivedId(run.created.id, [what, scope.place.taskRun?.created.id ?? '', call].join('\0'));
}

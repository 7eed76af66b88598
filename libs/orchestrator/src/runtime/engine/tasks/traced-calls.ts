import { failed } from '@nestor/core';
import type { TracedRun } from '../../registry/call-options.js';
import type { RecordedCall } from '../../replay/recorded-call.js';
import type { Execution } from './task-call.js';
import { COMPLETED } from './task-run-states.service.js';

/** Which run a call became, for whoever made it. */
export function traceOf(execution: Execution): TracedRun {
  const { task, known, dynamicKey } = execution;
  const id = known?.created.id ?? execution.id;
  return { kind: 'task-run', id, name: task.name, key: dynamicKey, state: () => execution.live?.image.state ?? null };
}

/** The same of a call whose outcome is recorded. */
export function recordedTrace({ created, kind }: RecordedCall): TracedRun {
  const { id, name, dynamicKey } = created;
  const state = kind === 'completed' ? COMPLETED : failed();
  return { kind: 'task-run', id, name, key: dynamicKey, state: () => state };
}

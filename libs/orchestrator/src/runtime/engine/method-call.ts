import type { CallOptions, TracedRun } from '../registry/call-options.js';
import type { FlowDefinition, TaskDefinition } from '../registry/definitions.js';
import type { LiveFlowRun } from '../transitions/live-run.js';
import { unionOf } from './scoped-tags.js';

/** A call of a decorated method. */
export interface MethodCall<Definition extends FlowDefinition | TaskDefinition = FlowDefinition | TaskDefinition> {
  readonly definition: Definition;
  readonly receiver: object;
  readonly args: readonly unknown[];
  readonly options: CallOptions | null;
}
export type FlowCall = MethodCall<FlowDefinition>;
export type TaskCall = MethodCall<TaskDefinition>;

export function isTaskCall(call: MethodCall): call is TaskCall {
  return call.definition.kind === 'task';
}

/** The definition as a call wants it. */
export function changed(
  known: FlowDefinition | TaskDefinition,
  { settings }: CallOptions,
): FlowDefinition | TaskDefinition {
  for (const _ in settings) {
    const tags = settings.tags ? unionOf(known.tags, settings.tags) : known.tags;
    return { ...known, ...settings, tags };
  }
  return known;
}

/** What whoever traces a call is told of its run. */
export function traceOf(live: LiveFlowRun): TracedRun {
  const { id, name } = live.created;
  return { kind: 'flow-run', id, name, key: id, state: () => live.image.state };
}

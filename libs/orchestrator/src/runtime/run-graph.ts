import type { StateType } from '@nestor/core';
import type { TaskRunInGraph } from '../records/task-runs/task-runs.repository.js';

/** The task runs of a flow run, and which of them got what others gave. */
export interface RunGraph {
  readonly flowRunId: string;
  readonly name: string;
  /** In the order of their calls. */
  readonly nodes: readonly RunGraphNode[];
  readonly edges: readonly RunGraphEdge[];
  /** Whether these are all task runs; `false` when there are more than were asked for. */
  readonly isComplete: boolean;
}

/** A task run; one that stands for a subflow has a `taskKey` that begins with `flow:`. */
export interface RunGraphNode {
  readonly id: string;
  readonly name: string;
  readonly taskKey: string;
  /** The task run that called it; `null` when the flow did. */
  readonly parentId: string | null;
  readonly stateType: StateType | null;
  readonly stateName: string | null;
}

export interface RunGraphEdge {
  /** The id of the task run whose result it is. */
  readonly from: string;
  /** The id of the task run that got it. */
  readonly to: string;
  /** As which parameter, by name or position; `wait_for` when it waited for it and got nothing. */
  readonly input: string;
}

/** Inputs that come from elsewhere, or from task runs that are not shown, are no edges. */
export function edgesOf(rows: readonly TaskRunInGraph[]): RunGraphEdge[] {
  const shown = new Set(rows.map(({ id }) => id));
  return rows.flatMap(({ id: to, taskInputs }) =>
    Object.entries(taskInputs).flatMap(([input, origins]) =>
      origins.filter((origin) => shown.has(origin.id)).map(({ id: from }) => ({ from, to, input })),
    ),
  );
}

/**
 * A graph as the text of a Mermaid flowchart, to be shown in Markdown or on {@link https://mermaid.live}. A task run that called
 * others is a box around them; dotted lines lead from what was only waited for.
 *
 * @example
 * ```ts
 * const text = toMermaid(await flowRuns.graph(run.id));
 * ```
 */
export function toMermaid({ nodes, edges }: RunGraph): string {
  const marks = new Map(nodes.map(({ id }, index) => [id, `t${index}`]));
  const within = new Map<string | null, RunGraphNode[]>();
  for (const node of nodes) {
    const parent = node.parentId !== null && marks.has(node.parentId) ? node.parentId : null;
    const siblings = within.get(parent);
    if (siblings) siblings.push(node);
    else within.set(parent, [node]);
  }
  const linesOf = (parent: string | null, indent: string): string[] =>
    (within.get(parent) ?? []).flatMap((node) => {
      const mark = marks.get(node.id);
      if (!within.has(node.id)) return [`${indent}${mark}["${labelOf(node)}"]`];
      return [`${indent}subgraph ${mark}["${labelOf(node)}"]`, ...linesOf(node.id, `${indent}  `), `${indent}end`];
    });
  const arrows = edges.map(
    ({ from, to, input }) => `  ${marks.get(from)} ${input === 'wait_for' ? '-.->' : '-->'} ${marks.get(to)}`,
  );
  return [...['flowchart TD', ...linesOf(null, '  ')], ...new Set(arrows)].map((line) => `${line}\n`).join('');
}

function labelOf({ name, stateName }: RunGraphNode): string {
  return `${escaped(name)}<br/>${escaped(stateName ?? '')}`;
}

/** What Mermaid would take for markup, as its entities. */
function escaped(text: string): string {
  return text.replace(/[#"`<>&\\]/g, (character) => `#${character.charCodeAt(0)};`).replace(/\s+/g, ' ');
}

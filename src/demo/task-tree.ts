import { msBetween, type FlowRuns, type FlowRunView, type TaskRunView } from '@nestor/orchestrator';

/** Runs of one task beyond this many are shown as one line, with their slowest. */
const SHOWN_ONE_BY_ONE = 5;
const PAGE = 200;

/** The task runs of a flow run as a tree with their times. */
export async function taskTree(
  flowRuns: Pick<FlowRuns, 'taskRunsOf'>,
  run: Pick<FlowRunView, 'id' | 'name' | 'flowName' | 'stateName' | 'startTime' | 'endTime'>,
): Promise<{ text: string; count: number }> {
  const tasks = await allTaskRuns(flowRuns, run.id);
  const children = groupBy(tasks, (task) => task.parentTaskRunId);
  const lines = [`${run.flowName} ${run.name} · ${run.stateName} · ${duration(run)}`, ...branch([null], children, '')];
  return { text: lines.join('\n'), count: tasks.length };
}

async function allTaskRuns(flowRuns: Pick<FlowRuns, 'taskRunsOf'>, flowRunId: string): Promise<TaskRunView[]> {
  const all: TaskRunView[] = [];
  for (let page: TaskRunView[] | null = null; page === null || page.length === PAGE;) {
    const after = all.at(-1)?.id;
    page = await flowRuns.taskRunsOf(flowRunId, { limit: PAGE, ...(after !== undefined && { after }) });
    all.push(...page);
  }
  return all;
}

/** What the given parents called, one line each, and below every line what was called from there. */
function branch(
  parents: readonly (string | null)[],
  children: ReadonlyMap<string | null, readonly TaskRunView[]>,
  indent: string,
): string[] {
  const called = parents.flatMap((parent) => children.get(parent) ?? []);
  const shown = [...groupBy(called, (run) => run.taskKey).values()].flatMap((runs) =>
    runs.length > SHOWN_ONE_BY_ONE ? [runs] : runs.map((run) => [run]),
  );
  return shown.flatMap((runs, index) => {
    const last = index === shown.length - 1;
    const deeper = branch(
      runs.map((run) => run.id),
      children,
      `${indent}${last ? '   ' : '│  '}`,
    );
    return [`${indent}${last ? '└─ ' : '├─ '}${lineOf(runs)}`, ...deeper];
  });
}

function lineOf(runs: readonly TaskRunView[]): string {
  const [run] = runs;
  if (!run || runs.length > 1) return summaryOf(runs);
  const attempts = run.runCount > 1 ? ` · ${run.runCount} attempts` : '';
  return `${run.taskKey} · ${run.stateName} · ${duration(run)}${attempts}`;
}

function summaryOf(runs: readonly TaskRunView[]): string {
  const times = runs.map((run) => run.totalRunTimeMs).sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  const states = [...groupBy(runs, (run) => run.stateName ?? '–')].map(([name, those]) => `${those.length} ${name}`);
  return `${runs[0]?.taskKey} × ${runs.length} · ${states.join(', ')} · median ${ms(median)}, slowest ${ms(times.at(-1) ?? 0)}`;
}

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

function duration(run: Pick<FlowRunView, 'startTime' | 'endTime'>): string {
  return run.startTime === null || run.endTime === null ? 'not ended' : ms(msBetween(run.startTime, run.endTime));
}

function ms(value: number): string {
  return value < 1_000 ? `${value.toFixed(1)} ms` : `${(value / 1_000).toFixed(2)} s`;
}

import { msBetween, type FlowRuns, type FlowRunView, type TaskRunView } from '@nestor/orchestrator';

/** Runs of one task beyond this many are shown as one line, with their slowest. */
const SHOWN_ONE_BY_ONE = 5;
const PAGE = 200;

/** The task runs of a flow run as a tree with their times. */
export async function taskTree(flowRuns: FlowRuns, run: FlowRunView): Promise<{ text: string; count: number }> {
  const tasks = await allTaskRuns(flowRuns, run.id);
  const children = groupByParent(tasks);
  const lines = [`${run.flowName} ${run.name} · ${run.stateName} · ${duration(run)}`, ...branch(null, children, '')];
  return { text: lines.join('\n'), count: tasks.length };
}

async function allTaskRuns(flowRuns: FlowRuns, flowRunId: string): Promise<TaskRunView[]> {
  const all: TaskRunView[] = [];
  for (let page: TaskRunView[] | null = null; page === null || page.length === PAGE;) {
    const after = all.at(-1)?.id;
    page = await flowRuns.taskRunsOf(flowRunId, { limit: PAGE, ...(after !== undefined && { after }) });
    all.push(...page);
  }
  return all;
}

function groupByParent(tasks: readonly TaskRunView[]): Map<string | null, TaskRunView[]> {
  const groups = new Map<string | null, TaskRunView[]>();
  for (const task of tasks) groups.set(task.parentTaskRunId, [...(groups.get(task.parentTaskRunId) ?? []), task]);
  return groups;
}

function branch(parent: string | null, children: Map<string | null, TaskRunView[]>, indent: string): string[] {
  const byTask = new Map<string, TaskRunView[]>();
  for (const task of children.get(parent) ?? []) byTask.set(task.taskKey, [...(byTask.get(task.taskKey) ?? []), task]);
  const groups = [...byTask.values()];
  return groups.flatMap((runs, index) => {
    const last = index === groups.length - 1;
    const shown = runs.length > SHOWN_ONE_BY_ONE ? [summaryOf(runs)] : runs.map(lineOf);
    const deeper = runs.flatMap((run) => branch(run.id, children, `${indent}${last ? '   ' : '│  '}`));
    return [...shown.map((line) => `${indent}${last ? '└─ ' : '├─ '}${line}`), ...deeper];
  });
}

function lineOf(run: TaskRunView): string {
  const attempts = run.runCount > 1 ? ` · ${run.runCount} attempts` : '';
  return `${run.taskKey} · ${run.stateName} · ${duration(run)}${attempts}`;
}

function summaryOf(runs: readonly TaskRunView[]): string {
  const times = runs.map((run) => run.totalRunTimeMs).sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  const states = new Map<string, number>();
  for (const { stateName } of runs) states.set(stateName ?? '–', (states.get(stateName ?? '–') ?? 0) + 1);
  const names = [...states].map(([name, count]) => `${count} ${name}`).join(', ');
  return `${runs[0]?.taskKey} × ${runs.length} · ${names} · median ${ms(median)}, slowest ${ms(times.at(-1) ?? 0)}`;
}

function duration(run: Pick<FlowRunView, 'startTime' | 'endTime'>): string {
  return run.startTime === null || run.endTime === null ? 'not ended' : ms(msBetween(run.startTime, run.endTime));
}

function ms(value: number): string {
  return value < 1_000 ? `${value.toFixed(1)} ms` : `${(value / 1_000).toFixed(2)} s`;
}

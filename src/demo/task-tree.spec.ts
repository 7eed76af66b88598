import { StateType, type FlowRunView, type TaskRunView } from '@nestor/orchestrator';
import { taskTree } from './task-tree.js';

const at = (ms: number) => (ms * 1_000) as FlowRunView['created'];

const flowRun = {
  id: 'run',
  name: 'calm-otter',
  flowName: 'import',
  stateName: 'Completed',
  startTime: at(0),
  endTime: at(1_500),
};

let made = 0;
function task(taskKey: string, values: Partial<TaskRunView> = {}): TaskRunView {
  made += 1;
  return {
    id: `task-${made}`,
    name: `${taskKey}-${made}`,
    taskKey,
    dynamicKey: `${made}-0`,
    flowRunId: flowRun.id,
    parentTaskRunId: null,
    stateType: StateType.Completed,
    stateName: 'Completed',
    runCount: 1,
    startTime: at(0),
    endTime: at(10),
    totalRunTimeMs: 10,
    ...values,
  };
}

async function linesOf(tasks: readonly TaskRunView[], run = flowRun): Promise<string[]> {
  const taskRunsOf = async (_: string, { limit = 200, after }: { limit?: number; after?: string } = {}) => {
    const start = after === undefined ? 0 : tasks.findIndex(({ id }) => id === after) + 1;
    return tasks.slice(start, start + limit);
  };
  const { text, count } = await taskTree({ taskRunsOf }, run);
  expect(count).toBe(tasks.length);
  return text.split('\n');
}

describe('the tree of task runs', () => {
  it('of a run without tasks is the run', async () => {
    expect(await linesOf([])).toEqual(['import calm-otter · Completed · 1.50 s']);
  });

  it('has a line for each of a few runs, and only the last is a corner', async () => {
    expect(await linesOf([task('read'), task('write', { endTime: at(2.5) }), task('write')])).toEqual([
      'import calm-otter · Completed · 1.50 s',
      '├─ read · Completed · 10.0 ms',
      '├─ write · Completed · 2.5 ms',
      '└─ write · Completed · 10.0 ms',
    ]);
  });

  it('shows calls of a task below that task', async () => {
    const outer = task('outer');
    const inner = task('inner', { parentTaskRunId: outer.id });
    const tasks = [outer, inner, task('innermost', { parentTaskRunId: inner.id }), task('last')];
    expect((await linesOf(tasks)).slice(1)).toEqual([
      '├─ outer · Completed · 10.0 ms',
      '│  └─ inner · Completed · 10.0 ms',
      '│     └─ innermost · Completed · 10.0 ms',
      '└─ last · Completed · 10.0 ms',
    ]);
  });

  it('takes many runs of one task together: their states, their median and their slowest', async () => {
    const runs = [1, 2, 3, 4, 5, 2_000].map((totalRunTimeMs) => task('fetch', { totalRunTimeMs }));
    const failed = task('fetch', { totalRunTimeMs: 6, stateName: 'Failed' });
    expect((await linesOf([...runs, failed])).slice(1)).toEqual([
      '└─ fetch × 7 · 6 Completed, 1 Failed · median 4.0 ms, slowest 2.00 s',
    ]);
  });

  it('takes together what those called as well', async () => {
    const runs = Array.from({ length: 6 }, () => task('outer'));
    const inner = runs.map(({ id }) => task('inner', { parentTaskRunId: id }));
    expect((await linesOf([...runs, ...inner])).slice(1)).toEqual([
      '└─ outer × 6 · 6 Completed · median 10.0 ms, slowest 10.0 ms',
      '   └─ inner × 6 · 6 Completed · median 10.0 ms, slowest 10.0 ms',
    ]);
  });

  it('says how often a task was tried, and that something has not ended', async () => {
    const tasks = [task('retried', { runCount: 3 }), task('running', { stateName: 'Running', endTime: null })];
    expect(await linesOf(tasks, { ...flowRun, stateName: 'Running', endTime: null as never })).toEqual([
      'import calm-otter · Running · not ended',
      '├─ retried · Completed · 10.0 ms · 3 attempts',
      '└─ running · Running · not ended',
    ]);
  });

  it.each([199, 200, 201, 1_000])('counts all of %i task runs, which come in pages of 200', async (count) => {
    const [, line] = await linesOf(Array.from({ length: count }, () => task('fetch')));
    expect(line).toContain(`fetch × ${count} · ${count} Completed`);
  });
});

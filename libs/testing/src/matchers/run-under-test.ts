import { isTerminal, type Duration, type FlowRunWithHistory, type TaskRunView } from '@nestor/orchestrator';
import { orchestratorsInUse, type TestingOrchestrator } from '../testing-orchestrator.js';

/** How long an assertion waits for a run to come to what is expected. */
export interface Within {
  /** Default `4s`, just below what Jest allows a test. */
  readonly within?: Duration;
}

/** A run as it stood when an assertion was decided. */
export interface RunUnderTest {
  readonly nestor: TestingOrchestrator;
  readonly run: FlowRunWithHistory;
  readonly tasks: readonly TaskRunView[];
}

const LOOK_AGAIN_MS = 10;

/**
 * The run once it is decided: when `isDecided` says so, when the run has ended, or when the time is over.
 *
 * @throws when no orchestrator of a test that is open has the run.
 */
export async function runOnceDecided(
  received: unknown,
  withinMs: number,
  isDecided: (found: RunUnderTest) => boolean,
): Promise<RunUnderTest> {
  const id = idOf(received);
  const nestor = await orchestratorOf(id);
  const deadline = performance.now() + withinMs;
  for (;;) {
    const run = await nestor.runs.get(id);
    const found = { nestor, run, tasks: await allTasksOf(nestor, id) };
    if (hasEnded(run) || isDecided(found) || performance.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

export function hasEnded({ stateType }: Pick<FlowRunWithHistory, 'stateType'>): boolean {
  return stateType !== null && isTerminal(stateType);
}

/** `flow run "brave-otter" of "order"`, its states and its tasks, for whoever reads why an assertion failed. */
export function describeRun({ run, tasks }: RunUnderTest): string {
  const states = run.states.map(({ name, message }) => (message === null ? name : `${name} (${message})`));
  const lines = tasks.map(({ name, stateName, runCount }) => `  ${name}: ${stateName ?? 'new'}${attempts(runCount)}`);
  return [
    `Flow run "${run.name}" of "${run.flowName}" is ${run.stateName ?? 'new'}${attempts(run.runCount)}.`,
    `States: ${states.join(' → ')}`,
    ...(lines.length > 0 ? ['Tasks:', ...lines] : ['It has called no task.']),
  ].join('\n');
}

function attempts(runCount: number): string {
  return runCount > 1 ? ` in attempt ${runCount}` : '';
}

function idOf(received: unknown): string {
  const id: unknown = typeof received === 'object' && received !== null && 'id' in received ? received.id : received;
  if (typeof id === 'string') return id;
  throw new TypeError(
    'A flow run is expected here: the handle that Flows.start() gives, a view such as that of latestRun(), or an id. A plain ' +
      'call gives what the flow returned; take latestRun() after it.',
  );
}

async function orchestratorOf(flowRunId: string): Promise<TestingOrchestrator> {
  const inUse = orchestratorsInUse();
  for (const nestor of inUse) if (await nestor.runs.find(flowRunId)) return nestor;
  throw new Error(
    inUse.length === 0
      ? 'No testing orchestrator is open; assert on runs before close().'
      : `None of the testing orchestrators that are open has a flow run ${flowRunId}.`,
  );
}

async function allTasksOf(nestor: TestingOrchestrator, flowRunId: string): Promise<TaskRunView[]> {
  const all: TaskRunView[] = [];
  for (let after: string | undefined; ; after = all.at(-1)?.id) {
    const page = await nestor.runs.taskRunsOf(flowRunId, after === undefined ? {} : { after });
    all.push(...page);
    if (page.length === 0 || page.length < 200) return all;
  }
}

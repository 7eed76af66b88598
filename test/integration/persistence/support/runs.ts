import {
  addMicros,
  advanceFlowRun,
  advanceTaskRun,
  instantOfMs,
  type FlowRun,
  type Instant,
  type ProposedState,
  type State,
  type TaskRun,
} from '@nestor/core';
import { msOfId, newId } from '../../../../libs/orchestrator/src/persistence/ids.js';
import type { FlowRunMove, NewFlowRun } from '../../../../libs/orchestrator/src/records/flow-runs/flow-run-rows.js';
import type { NewState } from '../../../../libs/orchestrator/src/records/stored-state.js';
import type { NewTaskRun, TaskRunWrite } from '../../../../libs/orchestrator/src/records/task-runs/task-run-rows.js';
import type { Store } from './store.js';

/** A time-ordered id of that moment. */
export function idAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}${newId().slice(13)}`;
}

const BLANK = {
  state: null,
  runCount: 0,
  expectedStartTime: null,
  nextScheduledStartTime: null,
  startTime: null,
  endTime: null,
  totalRunTimeUs: 0,
} as const;

/** A flow run as a test takes it through its states: its image, and the state that came last. */
export class FlowRunStory {
  readonly created: NewFlowRun;
  run: FlowRun;

  constructor(flowId: string, over: Partial<NewFlowRun> = {}) {
    const id = over.id ?? newId();
    this.created = {
      id,
      flowId,
      app: 'test',
      rootFlowRunId: id,
      parentTaskRunId: null,
      name: 'calm-otter',
      parameters: '{}',
      tags: [],
      buildId: null,
      encodingVersion: 1,
      ...over,
    };
    const policy = { retries: 1, retryDelaysMs: [5], resuming: false, pauseKeys: [], retryType: null };
    this.run = { kind: 'flow-run', ...BLANK, id, parentTaskRunId: this.created.parentTaskRunId, policy };
  }

  /** Enters a state; gives what the repository takes for its creation, or for a move on from the state before. */
  enter(proposed: ProposedState, over: { at?: Instant; result?: string } = {}): { move: FlowRunMove; state: NewState } {
    const before = this.run.state;
    const state = stateAfter(before, this.run.id, proposed, over.at);
    this.run = advanceFlowRun(this.run, state, {});
    return {
      move: { run: this.run, expectedStateId: before?.id ?? null, result: over.result ?? null },
      state: { runId: this.run.id, state, follows: before?.id ?? null },
    };
  }
}

/** A task run as a test takes it through its states. */
export class TaskRunStory {
  readonly created: NewTaskRun;
  run: TaskRun;

  constructor(flowRunId: string | null, over: Partial<NewTaskRun> = {}) {
    this.created = {
      id: newId(),
      flowRunId,
      parentTaskRunId: null,
      name: 'load-0',
      taskKey: 'Orders.load',
      dynamicKey: 'a-0',
      tags: [],
      ...over,
    };
    const policy = { retries: 0, retryDelaysMs: [] };
    this.run = { kind: 'task-run', ...BLANK, id: this.created.id, flowRunId, flowRunRunCount: 0, policy };
  }

  enter(
    proposed: ProposedState,
    over: { at?: Instant; result?: string } = {},
  ): { write: TaskRunWrite; state: NewState } {
    const before = this.run.state;
    const state = stateAfter(before, this.run.id, proposed, over.at);
    this.run = advanceTaskRun(this.run, state, 1);
    return {
      write: { created: this.created, run: this.run, result: over.result ?? null },
      state: { runId: this.run.id, state, follows: before?.id ?? null },
    };
  }
}

function stateAfter(before: State | null, runId: string, proposed: ProposedState, at?: Instant): State {
  // With odd microseconds, so that a loss of them shows.
  const timestamp = at ?? (before ? addMicros(before.timestamp, 1_001) : addMicros(instantOfMs(msOfId(runId)), 7));
  return { ...proposed, id: newId(), timestamp };
}

/** The id of a flow of that name. */
export async function flowNamed(store: Store, name: string): Promise<string> {
  const ids = await store.transactions.run((tx) => store.flows.register(tx, [name]));
  return ids.get(name)!;
}

/** Creates the flow run of a story in its first state. */
export async function create(store: Store, story: FlowRunStory, first: ProposedState): Promise<void> {
  const { state } = story.enter(first);
  await store.transactions.single((tx) =>
    store.flowRuns.insert(tx, [{ created: story.created, run: story.run }], [state]),
  );
}

/** Writes moves of flow runs in one batch; gives the ids of those that moved. */
export function move(store: Store, moves: readonly ReturnType<FlowRunStory['enter']>[]): Promise<ReadonlySet<string>> {
  return store.transactions.single((tx) =>
    store.flowRuns.move(
      tx,
      moves.map((one) => one.move),
      moves.map((one) => one.state),
    ),
  );
}

/** Writes task runs in one batch. */
export function save(store: Store, writes: readonly ReturnType<TaskRunStory['enter']>[]): Promise<void> {
  return store.transactions.single((tx) =>
    store.taskRuns.save(
      tx,
      writes.map((one) => one.write),
      writes.map((one) => one.state),
    ),
  );
}

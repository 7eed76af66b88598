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
import type {
  FlowRunCreation,
  FlowRunMove,
  LeaseChange,
  NewFlowRun,
} from '../../../../libs/orchestrator/src/records/flow-runs/flow-run-rows.js';
import type { HeldClaims, WriteFence } from '../../../../libs/orchestrator/src/records/lease-check.js';
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

interface Entering {
  readonly at?: Instant;
  /** The encoded outcome. */
  readonly result?: string;
  /** The number of the claim; the first one by default. */
  readonly claim?: number;
}

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
      flowVersion: null,
      buildId: null,
      encodingVersion: 1,
      isLeased: false,
      ...over,
    };
    const policy = {
      ...{ retries: 1, retryDelaysMs: [5], resuming: false, pauseKeys: [], retryType: null },
      ...{ recoveries: 0, maxRecoveries: 10 },
    };
    const { parentTaskRunId } = this.created;
    const elsewhere = { deploymentId: null, infrastructurePid: null };
    this.run = { kind: 'flow-run', ...BLANK, ...elsewhere, id, parentTaskRunId, policy };
  }

  /** Enters a first state; gives what the repository takes for the creation of the run. */
  begin(proposed: ProposedState, over: Entering = {}): { row: FlowRunCreation; state: NewState } {
    const { state } = this.enter(proposed, over);
    return { row: { created: this.created, run: this.run, claim: state.claim }, state };
  }

  /** Enters a state; gives what the repository takes for a move on from the state before. */
  enter(
    proposed: ProposedState,
    over: Entering & { lease?: LeaseChange } = {},
  ): { move: FlowRunMove; state: NewState } {
    const { claim = 1, lease = 'kept', result = null } = over;
    const before = this.run.state;
    const state = stateAfter(before, this.run.id, proposed, over.at);
    this.run = advanceFlowRun(this.run, state, {});
    return {
      move: { run: this.run, expectedStateId: before?.id ?? null, expectedEpoch: null, result, claim, lease },
      state: { runId: this.run.id, state, follows: before?.id ?? null, claim },
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
      taskVersion: null,
      inputs: null,
      ...over,
    };
    const policy = { retries: 0, retryDelaysMs: [] };
    this.run = { kind: 'task-run', ...BLANK, id: this.created.id, flowRunId, flowRunRunCount: 0, policy };
  }

  enter(proposed: ProposedState, over: Entering = {}): { write: TaskRunWrite; state: NewState } {
    const { claim = 1, result = null } = over;
    const before = this.run.state;
    const state = stateAfter(before, this.run.id, proposed, over.at);
    this.run = advanceTaskRun(this.run, state, 1);
    return {
      write: { created: this.created, run: this.run, result, brief: null, claim },
      state: { runId: this.run.id, state, follows: before?.id ?? null, claim },
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
export async function create(
  store: Store,
  story: FlowRunStory,
  first: ProposedState,
  fence: WriteFence = store.fence,
): Promise<void> {
  const { row, state } = story.begin(first);
  await store.transactions.single((tx) => store.flowRuns.insert(tx, fence, [row], [state]));
}

/** Writes new flow runs in one batch; gives which claims hold. */
export function insert(
  store: Store,
  creations: readonly ReturnType<FlowRunStory['begin']>[],
  fence: WriteFence = store.fence,
): Promise<HeldClaims> {
  const rows = creations.map((one) => one.row);
  const states = creations.map((one) => one.state);
  return store.transactions.single((tx) => store.flowRuns.insert(tx, fence, rows, states));
}

/** Writes moves of flow runs in one batch; gives which claims hold, and the ids of those that moved. */
export function moveUnder(
  store: Store,
  fence: WriteFence,
  moves: readonly ReturnType<FlowRunStory['enter']>[],
): Promise<{ readonly held: HeldClaims; readonly moved: ReadonlySet<string> }> {
  const rows = moves.map((one) => one.move);
  const states = moves.map((one) => one.state);
  return store.transactions.single((tx) => store.flowRuns.move(tx, fence, rows, states));
}

/** Writes moves of flow runs in one batch; gives the ids of those that moved. */
export async function move(
  store: Store,
  moves: readonly ReturnType<FlowRunStory['enter']>[],
): Promise<ReadonlySet<string>> {
  return (await moveUnder(store, store.fence, moves)).moved;
}

/** Writes task runs in one batch; gives which claims hold. */
export function save(
  store: Store,
  writes: readonly ReturnType<TaskRunStory['enter']>[],
  fence: WriteFence = store.fence,
): Promise<HeldClaims> {
  const rows = writes.map((one) => one.write);
  const states = writes.map((one) => one.state);
  return store.transactions.single((tx) => store.taskRuns.save(tx, fence, rows, states));
}

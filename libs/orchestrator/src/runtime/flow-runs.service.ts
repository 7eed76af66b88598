import { durationMs, isTerminal, OrchestratorError, StateType, type Duration } from '@nestor/core';
import { Injectable } from '@nestjs/common';
import { isPassing } from '../persistence/connection/postgres-errors.js';
import { isId } from '../persistence/ids.js';
import type { FlowRunEntity } from '../records/flow-runs/flow-run.entity.js';
import { FlowRunNotFoundError } from '../records/flow-runs/flow-run-not-found.error.js';
import { FlowRunsRepository } from '../records/flow-runs/flow-runs.repository.js';
import { FlowsRepository } from '../records/flows/flows.repository.js';
import type { LogEntity } from '../records/logs/log.entity.js';
import { LogsRepository } from '../records/logs/logs.repository.js';
import { TaskRunsRepository } from '../records/task-runs/task-runs.repository.js';
import { RunDiagnoses } from './diagnosis/run-diagnoses.service.js';
import type { RunDiagnosis } from './diagnosis/run-reason.js';
import { Payloads } from './payloads/payloads.service.js';
import { RunDeletions, type DeletedFlowRuns } from './retention/run-deletions.service.js';
import { WaitTimeoutError } from './wait-timeout.error.js';
import { outcomeOfRun } from './outcome-of-run.js';
import { PausedRunError, UnfinishedRunError } from './engine/engine-errors.js';
import { checkedId, checkedLimit, InvalidQueryError, MAX_PAGE } from './queries.js';
import { OrchestratorEngine } from './engine/orchestrator-engine.js';
import { pause, withinMs } from './engine/wait-until.js';
import { edgesOf, type RunGraph } from './run-graph.js';
import {
  flowRunView,
  taskRunView,
  type FlowRunView,
  type FlowRunWithHistory,
  type TaskRunView,
} from './flow-run.view.js';

/** Pauses between looks at a run that another process executes. */
const FIRST_LOOK_MS = 25;
const LAST_LOOK_MS = 500;
const MAX_NODES = 10_000;
/** As many are deleted at once, as in the contract. */
const MAX_DELETED = 50;

/** Narrows {@link FlowRuns.list}. */
export interface ListFlowRuns {
  /** 1 to 200; default 50. */
  readonly limit?: number;
  /** The id of the last run of the page before. */
  readonly before?: string;
  readonly stateTypes?: readonly StateType[];
  /** Only runs of this flow; of a flow nobody knows there are none. */
  readonly flowName?: string;
}

/** Looks runs up and waits for them, whichever process executes them. */
@Injectable()
export class FlowRuns {
  constructor(
    private readonly engine: OrchestratorEngine,
    private readonly flowRuns: FlowRunsRepository,
    private readonly taskRuns: TaskRunsRepository,
    private readonly flows: FlowsRepository,
    private readonly logs: LogsRepository,
    private readonly payloads: Payloads,
    private readonly diagnoses: RunDiagnoses,
    private readonly deletions: RunDeletions,
  ) {}

  /** The run with its parameters and states; `null` when there is none of that id. */
  async find(id: string): Promise<FlowRunWithHistory | null> {
    const row = isId(id) ? await this.flowRuns.find(id) : null;
    if (!row) return null;
    const [view] = await this.views([row]);
    if (!view) return null;
    return { ...view, ...(await this.parametersOf(row)), states: await this.flowRuns.history(id) };
  }

  /** @throws {FlowRunNotFoundError} when there is no run of that id. */
  async get(id: string): Promise<FlowRunWithHistory> {
    const run = await this.find(id);
    if (!run) throw new FlowRunNotFoundError(id);
    return run;
  }

  /**
   * A page of runs, newest first.
   *
   * @throws {InvalidQueryError} when `limit` or `before` cannot be meant.
   */
  async list(which: ListFlowRuns = {}): Promise<FlowRunView[]> {
    return this.views(await this.rows(which));
  }

  /**
   * Deletes a run for good, with its subflows, task runs, states, logs, artifacts and payloads; none of that is there any
   * more when this resolves. Its idempotency key is free again. A run that waits (scheduled, late, suspended…) is taken from
   * wherever it waits, and its hooks are not called. Runs that it enqueued, and background tasks, are runs of their own and
   * stay; so do events that were stored.
   *
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   * @throws {FlowRunActiveError} when somebody executes it, or is about to: cancel it first.
   * @throws {FlowRunWithinAnotherError} when it is a subflow: it is deleted with the run that called it.
   */
  async delete(id: string): Promise<void> {
    const { deleted, refused } = isId(id) ? await this.deletions.delete([id]) : NOTHING_DELETED;
    if (refused[0]) throw refused[0];
    if (deleted.length === 0) throw new FlowRunNotFoundError(id);
  }

  /**
   * Deletes up to 50 runs, each as {@link delete} does. Those that cannot be deleted keep none of the others from it.
   *
   * @param which ids, 50 at most; or those runs, subflows left out, that a page of {@link list} of 50 at most would have, by
   * state or by flow: what is in the way of a page stays in its way, so go on with `before`.
   * @returns what is gone, and why the rest is not; ids of which there is no run are left out.
   * @throws {InvalidQueryError} when there are more than 50, when one is no id, or when it is not said which runs.
   *
   * @example
   * ```ts
   * const { deleted, refused } = await flowRuns.deleteMany({ stateTypes: [StateType.Failed], flowName: 'audit' });
   * for (const { code, flowRunId } of refused) console.log(flowRunId, code);
   * ```
   */
  async deleteMany(which: readonly string[] | ListFlowRuns): Promise<DeletedFlowRuns> {
    return this.deletions.delete(isListOfIds(which) ? checkedIds(which) : await this.idsToDelete(which));
  }

  /**
   * The task runs of a run, in the order in which they were called, a page at a time.
   *
   * @param page `limit` 1 to 200, default 200; `after` is the id of the last task run of the page before.
   * @throws {InvalidQueryError} when `limit` or `after` cannot be meant.
   */
  async taskRunsOf(
    flowRunId: string,
    { limit = MAX_PAGE, after }: { readonly limit?: number; readonly after?: string } = {},
  ): Promise<TaskRunView[]> {
    const page = { limit: checkedLimit(limit), ...(after !== undefined && { after: checkedId(after, 'a task run') }) };
    if (!isId(flowRunId)) return [];
    return (await this.taskRuns.list(flowRunId, page)).map(taskRunView);
  }

  /** How many task runs of a run are in which state; states that none is in are absent. */
  async countTaskRuns(flowRunId: string): Promise<Partial<Record<StateType, number>>> {
    if (!isId(flowRunId)) return {};
    return this.taskRuns.countByState(flowRunId);
  }

  /**
   * The task runs of a run, and which of them got what others gave, as far as that is known: futures, and objects that a task
   * gave, are told by what they are; texts and numbers are not. {@link toMermaid} draws it.
   *
   * @param options `limit` is the most task runs that are shown, 1 to 10,000; default 1,000.
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   * @throws {InvalidQueryError} when `limit` cannot be meant.
   */
  async graph(id: string, { limit = 1_000 }: { readonly limit?: number } = {}): Promise<RunGraph> {
    const most = checkedLimit(limit, MAX_NODES);
    const run = isId(id) ? await this.flowRuns.find(id) : null;
    if (!run) throw new FlowRunNotFoundError(id);
    const rows = await this.taskRuns.forGraph(run.id, most + 1);
    const shown = rows.slice(0, most);
    return {
      flowRunId: run.id,
      name: run.name,
      nodes: shown.map(({ taskInputs: _, ...node }) => node),
      edges: edgesOf(shown),
      isComplete: shown.length === rows.length,
    };
  }

  /**
   * Why a run is not running: who has it, what it waits for, what is in its way, and who could take it; the most telling first.
   * Read from the database as it is at this moment.
   *
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   * @throws the errors with codes `PAYLOAD_…` when what a paused run asks for cannot be read in this process.
   *
   * @example
   * ```ts
   * const { reasons } = await flowRuns.whyNotRunning(id);
   * for (const { code, message } of reasons) console.log(code, message);
   * ```
   */
  whyNotRunning(id: string): Promise<RunDiagnosis> {
    return this.diagnoses.of(id);
  }

  /** The first lines (1,000 at most) that the run and its tasks logged, oldest first. */
  async logsOf(
    flowRunId: string,
  ): Promise<Pick<LogEntity, 'timestamp' | 'level' | 'name' | 'message' | 'taskRunId'>[]> {
    if (!isId(flowRunId)) return [];
    return this.logs.list(flowRunId, { limit: 1_000 });
  }

  /**
   * Waits until a run has ended.
   *
   * @returns what the flow returned, as it was recorded.
   * @throws what the flow threw, as it was recorded.
   * @throws {FlowRunNotFoundError} when there is no run of that id.
   * @throws the errors with codes `PAYLOAD_…` when the outcome cannot be read in this process.
   * @throws {RunCancelledError} and `RunCrashedError` when something else than its own code ended it.
   * @throws {WaitTimeoutError} when it has not ended within `timeout` (default: no limit).
   */
  result(id: string, options: { readonly timeout?: Duration } = {}): Promise<unknown> {
    return this.resultOnceThere(id, options, () => false);
  }

  /**
   * The same for a run that may not be there yet.
   *
   * @param mayStillCome whether the transaction that creates it may still be committed.
   * @internal
   */
  async resultOnceThere(
    id: string,
    { timeout }: { readonly timeout?: Duration },
    mayStillCome: () => boolean,
  ): Promise<unknown> {
    const timeoutMs = timeout === undefined ? Infinity : durationMs(timeout, 'timeout of FlowRuns.result');
    const deadline = performance.now() + timeoutMs;
    let pauseMs = FIRST_LOOK_MS;
    for (;;) {
      const mayCome = mayStillCome(); // asked first: it may be committed while we look
      const found = await this.look(id, mayCome);
      if (found) return outcomeOfRun(found.row, found.outcome);
      const left = deadline - performance.now();
      if (left <= 0) throw new WaitTimeoutError(`Flow run ${id}`, timeoutMs, id);
      // Here the engine tells; of other processes' runs only the database does.
      const end = this.engine.endOf(id);
      await (end ? withinMs(end, Math.min(LAST_LOOK_MS, left)) : pause(Math.min(pauseMs, left)));
      pauseMs = Math.min(pauseMs * 2, LAST_LOOK_MS);
    }
  }

  /**
   * What an ended run gave, without waiting.
   *
   * @throws {FlowRunNotFoundError} when there is no such run.
   * @throws {UnfinishedRunError} when it has not ended, {@link PausedRunError} when it is paused.
   * @throws {MissingResultError} when its result was not kept, and the other errors of {@link result}.
   */
  async outcome(id: string): Promise<unknown> {
    const end = await this.look(id);
    if (end) return outcomeOfRun(end.row, end.outcome);
    const { stateType, stateName } = await this.get(id);
    if (stateType === StateType.Paused) throw new PausedRunError(id);
    throw new UnfinishedRunError(id, stateName ?? 'new');
  }

  /**
   * The ended run and its outcome; `undefined` when it has not ended or may still come, or when the database is away, which
   * ends no waiting: the run may well go on.
   */
  private async look(id: string, mayStillCome = false): Promise<{ row: FlowRunEntity; outcome: unknown } | undefined> {
    if (!isId(id)) throw new FlowRunNotFoundError(id);
    try {
      const row = await this.flowRuns.find(id);
      if (!row && !mayStillCome) throw new FlowRunNotFoundError(id);
      if (!row?.stateType || !isTerminal(row.stateType)) return undefined;
      return { row, outcome: row.result === null ? undefined : await this.payloads.read(row.result) };
    } catch (error) {
      if (isPassing(error)) return undefined;
      throw error;
    }
  }

  private async parametersOf(
    row: FlowRunEntity,
  ): Promise<Pick<FlowRunWithHistory, 'parameters' | 'parametersJson' | 'parametersError'>> {
    try {
      const encoded = await this.payloads.open(row.parameters);
      const parameters = this.payloads.decode(encoded);
      return { parameters, parametersJson: JSON.parse(encoded) as unknown, parametersError: null };
    } catch (error) {
      if (!(error instanceof OrchestratorError)) throw error;
      return { parameters: undefined, parametersJson: null, parametersError: error };
    }
  }

  private async idsToDelete(which: ListFlowRuns): Promise<string[]> {
    const { limit = MAX_DELETED, flowName, stateTypes } = which;
    if (flowName === undefined && stateTypes === undefined) {
      throw new InvalidQueryError('It is not said which flow runs are to be deleted; name a flow, states, or ids.');
    }
    const rows = await this.rows({ ...which, limit: checkedLimit(limit, MAX_DELETED) }, true);
    return rows.map(({ id }) => id);
  }

  private async rows(
    { limit = 50, before, stateTypes, flowName }: ListFlowRuns,
    outermost = false,
  ): Promise<FlowRunEntity[]> {
    const page = {
      ...{ limit: checkedLimit(limit), outermost },
      ...(stateTypes && { stateTypes }),
      ...(before !== undefined && { before: checkedId(before, 'a flow run') }),
    };
    if (flowName === undefined) return this.flowRuns.list(page);
    const flow = await this.flows.findByName(flowName);
    return flow ? this.flowRuns.list({ ...page, flowId: flow.id }) : [];
  }

  private async views(rows: readonly FlowRunEntity[]): Promise<FlowRunView[]> {
    const flows = await this.flows.findByIds([...new Set(rows.map((row) => row.flowId))]);
    const names = new Map(flows.map((flow) => [flow.id, flow.name]));
    return rows.map((row) => flowRunView(row, names.get(row.flowId) ?? row.flowId));
  }
}

const NOTHING_DELETED: DeletedFlowRuns = { deleted: [], refused: [] };

function isListOfIds(which: readonly string[] | ListFlowRuns): which is readonly string[] {
  return Array.isArray(which);
}

function checkedIds(ids: readonly string[]): readonly string[] {
  if (ids.length <= MAX_DELETED) return ids.map((id) => checkedId(id, 'a flow run'));
  throw new InvalidQueryError(
    `${ids.length} flow runs are to be deleted at once; give up to ${MAX_DELETED} ids, and the others after them.`,
  );
}

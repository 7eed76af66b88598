import {
  advanceFlowRun,
  advanceTaskRun,
  decide,
  flowRunPolicy,
  forcedFlowRunPolicy,
  markLateFlowRunPolicy,
  nativeTaskRunPolicy,
  parseInstant,
  StateType,
  type FlowRun,
  type FlowRunPolicy,
  type Instant,
  type Policy,
  type RetryPolicy,
  type State,
  type TaskRun,
  type Verdict,
} from '@nestor/core';
import type { Client } from 'pg';
import type { Evidence, StoredFlowRun, StoredState, StoredTaskRun } from './evidence.js';
import type { Violation } from './violation.js';

/** Where runs that our engine executes go from each state; the rules leave room for more, such as what foreign clients do. */
const FLOW_MOVES: Readonly<Record<StateType, readonly string[]>> = {
  PENDING: ['RUNNING', 'SCHEDULED', 'CANCELLING', 'CANCELLED', 'CRASHED'],
  RUNNING: ['COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED', 'CANCELLING', 'PAUSED', 'SCHEDULED'],
  SCHEDULED: ['PENDING', 'RUNNING', 'SCHEDULED', 'CANCELLED', 'CRASHED'],
  PAUSED: ['RUNNING', 'SCHEDULED', 'CANCELLED', 'CANCELLING'],
  CANCELLING: ['CANCELLED'],
  COMPLETED: [],
  FAILED: [],
  CRASHED: [],
  CANCELLED: [],
};
const TASK_MOVES: Readonly<Record<StateType, readonly string[]>> = {
  PENDING: ['RUNNING', 'CANCELLED'],
  RUNNING: ['RUNNING', 'SCHEDULED', 'COMPLETED', 'FAILED', 'CANCELLED'],
  SCHEDULED: ['RUNNING', 'CANCELLED'],
  PAUSED: [],
  CANCELLING: [],
  COMPLETED: [],
  FAILED: [],
  CRASHED: [],
  CANCELLED: [],
};
const INSTANTS = ['scheduledTime', 'pauseTimeout'] as const;

/** I6: every history is a chain of moves that the rules allow, in time, and the run is in its last state. */
export function findIllegalHistories({ flowRuns, taskRuns, flowStates, taskStates }: Evidence): Violation[] {
  const flows = [...flowRuns.values()].flatMap((run) => {
    const history = flowStates.get(run.id) ?? [];
    return [
      ...chainProblems(run, history, FLOW_MOVES, ['PENDING', 'SCHEDULED']),
      ...refusedByFlowRules(run, history),
    ].map((problem) => `flow run ${run.id}: ${problem} (${pathOf(history)})`);
  });
  const tasks = [...taskRuns.values()].flatMap((run) => {
    const history = taskStates.get(run.id) ?? [];
    return [...chainProblems(run, history, TASK_MOVES, ['PENDING']), ...refusedByTaskRules(run, history)].map(
      (problem) => `task run ${run.id} of ${run.flowRunId}: ${problem} (${pathOf(history)})`,
    );
  });
  const orphans = [
    ...[...flowStates.keys()].filter((id) => !flowRuns.has(id)),
    ...[...taskStates.keys()].filter((id) => !taskRuns.has(id)),
  ].map((id) => `states of run ${id}, which is not there`);
  return [...flows, ...tasks, ...orphans].map((what) => ({ invariant: 'I6', what }));
}

/** I7: every state is one event, and no other event says that a run changed (a heartbeat says that it goes on). */
export async function findUnevenEvents(client: Client): Promise<Violation[]> {
  const { rows } = await client.query<{ problem: string; id: string }>(
    `with states as (select id from nestor.flow_run_state union all select id from nestor.task_run_history),
          events as (select id from nestor.event_feed where event like 'prefect.%-run.%' and event <> 'prefect.flow-run.heartbeat')
     select 'no event for' as problem, id from states s where not exists (select from events e where e.id = s.id)
     union all
     select 'event without' as problem, id from events e where not exists (select from states s where s.id = e.id)
     union all
     select 'several events for' as problem, id from events group by id having count(*) > 1`,
  );
  return rows.map(({ problem, id }) => ({ invariant: 'I7', what: `${problem} state ${id}` }));
}

function chainProblems(
  { stateId, stateType }: StoredFlowRun | StoredTaskRun,
  history: readonly StoredState[],
  moves: Readonly<Record<StateType, readonly string[]>>,
  firsts: readonly string[],
): string[] {
  const last = history.at(-1);
  if (!last) return ['it has no history'];
  const problems: string[] = [];
  if (stateId !== last.id || stateType !== last.type) problems.push(`it is ${stateType}, which is not its last state`);
  for (const [index, state] of history.entries()) {
    const before = history[index - 1];
    if (state.follows !== (before?.id ?? null)) problems.push(`${state.name} does not follow the state before it`);
    const allowed = before ? moves[before.type] : firsts;
    if (!allowed.includes(state.type)) problems.push(`it went from ${before?.type ?? 'nothing'} to ${state.type}`);
    if (before && before.timestamp >= state.timestamp)
      problems.push(`${state.name} is not later than the state before it`);
  }
  return problems;
}

function refusedByFlowRules(stored: StoredFlowRun, history: readonly StoredState[]): string[] {
  const policy = stored.policy as Partial<FlowRunPolicy>;
  let run: FlowRun = {
    ...BLANK,
    kind: 'flow-run',
    id: stored.id,
    parentTaskRunId: stored.id === stored.root ? null : 'a task run',
    policy: {
      ...{ retries: 0, retryDelaysMs: [], maxRecoveries: 10 },
      ...policy,
      ...{ resuming: false, pauseKeys: [], retryType: null, recoveries: 0 },
    },
  };
  const problems: string[] = [];
  for (const [index, row] of history.entries()) {
    const state = stateOf(row);
    if (index === 0) {
      run = advanceFlowRun(run, state, {});
      continue;
    }
    const verdict = decide(
      policyFor(run, state),
      { run, proposed: state, now: state.timestamp },
      { reschedulable: true, random: 0 },
    );
    if (!enters(verdict, state)) problems.push(`the rules do not let ${run.state?.name} become ${state.name}`);
    const change = verdict.kind === 'accept' || verdict.kind === 'reject' ? verdict.policy : {};
    run = advanceFlowRun(run, state, change);
  }
  return problems;
}

function refusedByTaskRules(stored: StoredTaskRun, history: readonly StoredState[]): string[] {
  const policy: RetryPolicy = { retries: 0, retryDelaysMs: [], ...stored.policy };
  let run: TaskRun = {
    ...BLANK,
    kind: 'task-run',
    id: stored.id,
    flowRunId: stored.flowRunId,
    flowRunRunCount: 1,
    policy,
  };
  const problems: string[] = [];
  for (const [index, row] of history.entries()) {
    const state = stateOf(row);
    // An attempt that its process did not survive begins again, and counts once.
    if (run.state?.type === StateType.Running && state.name === 'Rerunning')
      run = { ...run, runCount: run.runCount - 1 };
    const verdict = decide(nativeTaskRunPolicy, { run, proposed: state, now: state.timestamp }, { random: 0 });
    if (index > 0 && !enters(verdict, state))
      problems.push(`the rules do not let ${run.state?.name} become ${state.name}`);
    run = advanceTaskRun(run, state, 1);
  }
  return problems;
}

/**
 * A paused run may be cancelled although the rules of the contract know no way: its process looks. See `RunControl.cancel`. Who
 * says that runs are late is held to rules of its own.
 */
function policyFor({ state }: FlowRun, { type, name }: State): Policy<FlowRun> {
  if (name === 'Late') return markLateFlowRunPolicy;
  const isCancelledInPause = state?.type === StateType.Paused && type === StateType.Cancelling;
  return isCancelledInPause ? forcedFlowRunPolicy : flowRunPolicy;
}

/** Whether a state may be entered: as it was proposed, or because something else was and the rules put it in its place. */
function enters(verdict: Verdict | { readonly kind: 'needs-facts' }, { type }: State): boolean {
  return (verdict.kind === 'accept' || verdict.kind === 'reject') && verdict.state?.type === type;
}

function stateOf({ id, type, name, message, details, timestamp }: StoredState): State {
  const parsed: Record<string, unknown> = { ...details };
  for (const key of INSTANTS) if (typeof parsed[key] === 'string') parsed[key] = parseInstant(parsed[key]);
  return { id, type, name, message, details: parsed, timestamp: timestamp as Instant };
}

function pathOf(history: readonly StoredState[]): string {
  return history.map(({ name }) => name).join(' → ');
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

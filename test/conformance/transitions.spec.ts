import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  addMicros,
  addMs,
  advanceFlowRun,
  advanceTaskRun,
  awaitingRetry,
  cancelled,
  cancelling,
  completed,
  coreTaskRunPolicy,
  crashed,
  decide,
  failed,
  flowRunPolicy,
  instantOfMs,
  isTerminal,
  late,
  paused,
  pending,
  retrying,
  running,
  scheduled,
  suspended,
  type Facts,
  type FlowRun,
  type ProposedState,
  type Run,
  type State,
  type StateType,
  type TaskRun,
  type Verdict,
} from '@nestor/core';

/** One proposal to a server of the HTTP contract, and what became of it: the run was forced into `from` before. */
interface Case {
  readonly kind: 'flow' | 'task';
  readonly deployment: boolean;
  readonly retries: boolean;
  readonly from: Kind;
  readonly to: Kind;
  readonly answer: {
    readonly http: number;
    readonly status: 'ACCEPT' | 'REJECT' | 'WAIT' | 'ABORT';
    readonly state: { readonly type: StateType; readonly name: string };
    readonly delay?: string;
  };
  readonly after: RunFields;
}

interface RunFields {
  readonly type: StateType;
  readonly name: string;
  readonly run_count: number;
  readonly started: boolean;
  readonly ended: boolean;
  readonly next_scheduled: boolean;
  readonly expected: boolean;
}

const now = instantOfMs(1_800_000_000_000);
const MINUTE_MS = 60_000;
const in10Minutes = addMs(now, 10 * MINUTE_MS);

const KINDS = {
  Scheduled_future: scheduled({ scheduledTime: addMs(now, 60 * MINUTE_MS) }),
  Scheduled_past: scheduled({ scheduledTime: addMs(now, -MINUTE_MS) }),
  Late: late({ scheduledTime: addMs(now, -MINUTE_MS) }),
  AwaitingRetry: awaitingRetry({ scheduledTime: addMs(now, -MINUTE_MS) }),
  Pending: pending(),
  Running: running(),
  Retrying: retrying(),
  Paused: paused({ details: { pauseTimeout: in10Minutes } }),
  Suspended: suspended({ details: { pauseTimeout: in10Minutes } }),
  Paused_expired: paused({ details: { pauseTimeout: addMs(now, -MINUTE_MS) } }),
  Cancelling: cancelling(),
  Cancelled: cancelled(),
  Crashed: crashed(),
  Failed: failed(),
  Completed: completed(),
  Completed_data: completed({ data: { persisted: false, value: 'unpersisted' } }),
  Completed_result: completed({ data: { persisted: true, value: { storage_key: 'key' } } }),
} satisfies Record<string, ProposedState>;
type Kind = keyof typeof KINDS;

const CASES = readFileSync(join(__dirname, 'data', 'transitions.jsonl'), 'utf8')
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Case);

const BLANK = {
  id: 'run',
  state: null,
  runCount: 0,
  expectedStartTime: null,
  nextScheduledStartTime: null,
  startTime: null,
  endTime: null,
  totalRunTimeUs: 0,
} as const;

function entered(proposed: ProposedState, timestamp = now): State {
  return { ...proposed, id: 'state', timestamp };
}

/** What a server answers, in the terms of the recording. */
interface Outcome {
  readonly http: number;
  readonly status: string;
  readonly state: { readonly type: StateType; readonly name: string };
  readonly delayMs: number | null;
  readonly after: RunFields;
}

function outcomeOf(verdict: Verdict, before: Run, after: Run): Outcome {
  const { type, name } = after.state!;
  return {
    http: after === before ? 200 : 201,
    status: verdict.kind.toUpperCase(),
    state: { type, name },
    delayMs: verdict.kind === 'wait' ? verdict.retryAfterMs : null,
    after: {
      type,
      name,
      run_count: after.runCount,
      started: after.startTime !== null,
      ended: after.endTime !== null,
      next_scheduled: after.nextScheduledStartTime !== null,
      expected: after.expectedStartTime !== null,
    },
  };
}

function verdictOn(verdict: ReturnType<typeof decide>): Verdict {
  if (verdict.kind === 'needs-facts') throw new Error(`asked for ${verdict.names.join(', ')}`);
  return verdict;
}

const next = (): State['timestamp'] => addMicros(now, 1);

function replayFlow({ deployment, retries, from, to }: Case): Outcome {
  const policy = {
    ...{ retries: retries ? 2 : 0, retryDelaysMs: [], resuming: false, pauseKeys: [], retryType: null },
    ...{ recoveries: 0, maxRecoveries: 10 },
  };
  const blank: FlowRun = { ...BLANK, kind: 'flow-run', parentTaskRunId: null, policy };
  const run = advanceFlowRun({ ...blank, deploymentId: deployment ? 'deployment' : null }, entered(KINDS[from]), {});
  // A foreign run without a deployment cannot be started again; the deployments of the recording have no limit.
  const facts: Facts = {
    reschedulable: deployment,
    deployment: {
      limit: null,
      collisionStrategy: 'ENQUEUE',
      gracePeriodMs: 300_000,
      slotFree: true,
      newLeaseId: 'new',
    },
  };
  const verdict = verdictOn(decide(flowRunPolicy, { run, proposed: KINDS[to], now }, facts));
  const moved = verdict.kind === 'accept' || verdict.kind === 'reject' ? verdict : null;
  return outcomeOf(verdict, run, moved?.state ? advanceFlowRun(run, entered(moved.state, next()), moved.policy) : run);
}

function replayTask({ retries, from, to }: Case): Outcome {
  const policy = { retries: retries ? 2 : 0, retryDelaysMs: [] };
  const blank: TaskRun = { ...BLANK, kind: 'task-run', flowRunId: 'flow', flowRunRunCount: 0, policy };
  // Forcing notes no attempt of the flow run: for the rules it is the first one.
  const run = advanceTaskRun(blank, entered(KINDS[from]), 0);
  const facts: Facts = { flowRun: { state: running(), runCount: 1 } };
  const verdict = verdictOn(decide(coreTaskRunPolicy, { run, proposed: KINDS[to], now }, facts));
  const moved = verdict.kind === 'accept' || verdict.kind === 'reject' ? verdict : null;
  return outcomeOf(
    verdict,
    run,
    moved?.state ? advanceTaskRun(run, entered(moved.state, next()), 1, moved.startsOver) : run,
  );
}

function recorded({ answer, after }: Case): Outcome {
  const { http, status, state, delay } = answer;
  return { http, status, state, delayMs: delay === undefined ? null : Number(delay.replace('~', '')) * 1_000, after };
}

const titleOf = ({ kind, deployment, retries, from, to }: Case): string =>
  `${kind} run${deployment ? ' of a deployment' : ''}${retries ? ', retries left' : ''}: ${from} → ${to}`;

/**
 * No case is decided otherwise. Where native runs are treated differently, the facts differ and not the rules: a run whose
 * flow is registered can be started again without a deployment, and only a process of ours proposes `AwaitingResume`.
 */
describe('what is answered to a proposal', () => {
  it('is recorded for every pair of states, of flow runs and of task runs', () => {
    const kinds = Object.keys(KINDS);
    expect(new Set(CASES.map(({ from }) => from))).toEqual(new Set(kinds));
    expect(new Set(CASES.map(titleOf)).size).toBe(5 * kinds.length ** 2);
    expect(CASES.every(({ after }) => isTerminal(after.type) === after.ended)).toBe(true);
  });

  it.each(CASES.map((recording) => [titleOf(recording), recording] as const))('%s [O01]', (_, recording) => {
    const outcome = recording.kind === 'flow' ? replayFlow(recording) : replayTask(recording);
    expect(outcome).toEqual(recorded(recording));
  });
});

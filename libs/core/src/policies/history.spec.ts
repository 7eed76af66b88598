import * as fc from 'fast-check';
import { isTerminal, STATE_TYPES, StateType, type ProposedState, type State } from '../states/state.js';
import { completed } from '../states/states.js';
import { addMicros, instantOfMicros, type Instant } from '../time/instant.js';
import { advanceFlowRun, advanceTaskRun } from '../transitions/advance.js';
import { decide, type Verdict } from '../transitions/decide.js';
import type { Facts } from '../transitions/facts.js';
import type { FlowRun, Run, TaskRun } from '../transitions/run.js';
import type { Policy } from '../transitions/transition.js';
import { backgroundTaskRunPolicy } from './background-task-run.policy.js';
import { clientSideTaskRunPolicy, coreTaskRunPolicy } from './core-task-run.policy.js';
import { flowRunPolicy } from './flow-run.policy.js';
import { forcedFlowRunPolicy } from './forced-flow-run.policy.js';
import { forcedTaskRunPolicy } from './forced-task-run.policy.js';
import { markLateFlowRunPolicy } from './mark-late-flow-run.policy.js';
import { nativeTaskRunPolicy } from './native-task-run.policy.js';

/** One thing somebody proposes, and how far the clock has moved since the last one; clocks may be set back. */
interface Step {
  readonly proposed: ProposedState;
  readonly clockUs: number;
  readonly facts: Facts;
}

type Entering = Extract<Verdict, { kind: 'accept' | 'reject' }>;

/** What became of a sequence of proposals. */
interface Story<R extends Run> {
  readonly run: R;
  readonly history: readonly State[];
  readonly answers: readonly { before: R; step: Step; now: Instant; verdict: Verdict; entered: State | null }[];
  /** Decides a step of it once more. */
  readonly decideAgain: (run: R, step: Step, now: Instant) => Verdict;
}

const START = instantOfMicros(1_800_000_000_000_000);
const instants = fc.integer({ min: -1_000, max: 5_000 }).map((us) => addMicros(START, us));

const proposals: fc.Arbitrary<ProposedState> = fc.record(
  {
    type: fc.constantFrom(...STATE_TYPES),
    name: fc.constantFrom('Pending', 'Running', 'Submitting', 'Late', 'AwaitingResume', 'AwaitingRetry', 'Other'),
    message: fc.option(fc.string({ maxLength: 5 })),
    details: fc.record(
      {
        scheduledTime: instants,
        transitionId: fc.constantFrom('a', 'b', 'c'),
        retriable: fc.boolean(),
        pauseKey: fc.constantFrom('1', '2'),
        pauseReschedule: fc.boolean(),
        pauseTimeout: instants,
        cacheKey: fc.constantFrom('k', 'k'.repeat(2_001)),
        refreshCache: fc.boolean(),
        deferred: fc.boolean(),
        taskParametersId: fc.constant('p'),
      },
      { requiredKeys: [] },
    ),
    data: fc.record({ persisted: fc.boolean(), value: fc.constant('value') }),
  },
  { requiredKeys: ['type', 'name', 'message', 'details'] },
);

const facts: fc.Arbitrary<Facts> = fc.record({
  reschedulable: fc.boolean(),
  deployment: fc.option(
    fc.record({
      limit: fc.constantFrom(null, 0, 1, 5),
      collisionStrategy: fc.constantFrom('ENQUEUE' as const, 'CANCEL_NEW' as const),
      gracePeriodMs: fc.constant(300_000),
      slotFree: fc.boolean(),
      newLeaseId: fc.constantFrom('lease-1', 'lease-2'),
    }),
  ),
  leaseHeld: fc.boolean(),
  clientRenewsLeases: fc.boolean(),
  cachedState: fc.option(fc.constant(completed({ data: { persisted: true, value: 'cached' } }))),
  flowRun: fc.option(
    fc.record({
      state: fc.option(fc.record({ type: fc.constantFrom(...STATE_TYPES), details: fc.constant({}) })),
      runCount: fc.nat(2),
    }),
  ),
  tagLimits: fc.array(
    fc.record({
      tag: fc.constantFrom('a', 'b'),
      limit: fc.nat(1),
      slotFree: fc.boolean(),
      averageOccupancyMs: fc.nat(),
    }),
    { maxLength: 2 },
  ),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({ proposed: proposals, clockUs: fc.integer({ min: -500, max: 2_000 }), facts }),
  { maxLength: 30 },
);

const retryPolicies = fc.record(
  {
    retries: fc.nat(3),
    retryDelaysMs: fc.array(fc.constantFrom(0, 0.3, 1, 2), { maxLength: 3 }),
    retryJitter: fc.constantFrom(0, 0.5, 2),
    retryConditionally: fc.boolean(),
  },
  { requiredKeys: ['retries', 'retryDelaysMs'] },
);

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

/** Plays proposals the way the door does: decide, stamp at least a microsecond after the state before, advance. */
function play<R extends Run>(
  first: R,
  sequence: readonly Step[],
  policy: Policy<R>,
  advance: (run: R, state: State, verdict: Entering, step: Step) => R,
): Story<R> {
  const decideOn = (run: R, step: Step, now: Instant): Verdict => {
    const verdict = decide(policy, { run, proposed: step.proposed, now }, step.facts);
    if (verdict.kind === 'needs-facts') throw new Error(`asked for ${verdict.names.join(', ')}`);
    return verdict;
  };
  let run = first;
  let now = START;
  const history: State[] = [];
  const answers: Story<R>['answers'][number][] = [];
  for (const step of sequence) {
    now = addMicros(now, step.clockUs);
    const before = run;
    const verdict = decideOn(run, step, now);
    let entered: State | null = null;
    if ((verdict.kind === 'accept' || verdict.kind === 'reject') && verdict.state) {
      const earliest = run.state ? addMicros(run.state.timestamp, 1) : now;
      entered = { ...verdict.state, id: `s${history.length}`, timestamp: now > earliest ? now : earliest };
      run = advance(run, entered, verdict, step);
      history.push(entered);
    }
    answers.push({ before, step, now, verdict, entered });
  }
  return { run, history, answers, decideAgain: decideOn };
}

const flowStories = (policy: Policy<FlowRun>): fc.Arbitrary<Story<FlowRun>> =>
  fc
    .tuple(retryPolicies, fc.option(fc.constant('d')), fc.option(fc.constant('p')), steps)
    .map(([retryPolicy, deploymentId, parentTaskRunId, sequence]) =>
      play<FlowRun>(
        {
          ...BLANK,
          kind: 'flow-run',
          parentTaskRunId,
          deploymentId,
          policy: { ...retryPolicy, resuming: false, pauseKeys: [], retryType: null, recoveries: 0, maxRecoveries: 10 },
        },
        sequence,
        policy,
        (run, state, verdict) => advanceFlowRun(run, state, verdict.policy),
      ),
    );

const taskStories = (policy: Policy<TaskRun>): fc.Arbitrary<Story<TaskRun>> =>
  fc
    .tuple(retryPolicies, fc.option(fc.constant('f')), fc.subarray(['a', 'b']), steps)
    .map(([retryPolicy, flowRunId, tags, sequence]) =>
      play<TaskRun>(
        { ...BLANK, kind: 'task-run', flowRunId, flowRunRunCount: 0, tags, policy: retryPolicy },
        sequence,
        policy,
        (run, state, verdict, step) =>
          advanceTaskRun(run, state, step.facts.flowRun?.runCount ?? 0, verdict.startsOver),
      ),
    );

const check = <R extends Run>(stories: fc.Arbitrary<Story<R>>, holds: (story: Story<R>) => void): void =>
  fc.assert(fc.property(stories, holds), { numRuns: 300 });

/** Policies that wait for the scheduled time and retry, which force does not. */
const ORDINARY = [
  ['flowRunPolicy', flowStories(flowRunPolicy)],
  ['nativeTaskRunPolicy', taskStories(nativeTaskRunPolicy)],
  ['coreTaskRunPolicy', taskStories(coreTaskRunPolicy)],
  ['clientSideTaskRunPolicy', taskStories(clientSideTaskRunPolicy)],
  ['backgroundTaskRunPolicy', taskStories(backgroundTaskRunPolicy)],
] as unknown as [string, fc.Arbitrary<Story<Run>>][];

const ALL = [
  ...ORDINARY,
  ['forcedFlowRunPolicy', flowStories(forcedFlowRunPolicy)],
  ['markLateFlowRunPolicy', flowStories(markLateFlowRunPolicy)],
  ['forcedTaskRunPolicy', taskStories(forcedTaskRunPolicy)],
] as unknown as [string, fc.Arbitrary<Story<Run>>][];

describe.each(ALL)('whatever is proposed under %s', (name, stories) => {
  it('the history is strictly increasing in time and ends with the state of the run [O23]', () => {
    check(stories, ({ run, history }) => {
      history.slice(1).forEach((state, index) => expect(state.timestamp).toBeGreaterThan(history[index]!.timestamp));
      expect(run.state).toEqual(history.at(-1) ?? null);
    });
  });

  it('every field of the bookkeeping is what the history says [O22]', () => {
    check(stories, ({ run, history }) => {
      expect(run).toMatchObject(bookkeepingOf(history));
      expect(run.runCount).toBe(attemptsIn(history, name));
    });
  });

  it('what is not entered changes nothing, outside the run neither [O26]', () => {
    check(stories, ({ answers }) => {
      answers.forEach(({ before, entered, verdict }, index) => {
        if (entered) return;
        const after = answers[index + 1]?.before;
        if (after) expect(after).toBe(before);
        if ('effects' in verdict) expect(verdict).toMatchObject({ policy: {}, startsOver: false, effects: [] });
      });
    });
  });

  it('what somebody proposed is entered as it is, or not at all', () => {
    check(stories, ({ answers }) => {
      for (const { step, verdict, entered } of answers) {
        if (verdict.kind === 'accept') expect(entered).toMatchObject({ type: step.proposed.type });
        if (verdict.kind === 'wait') expect(verdict.retryAfterMs).toBeGreaterThan(0);
      }
    });
  });

  it('asking twice gives the same answer', () => {
    check(stories, ({ answers, decideAgain }) => {
      for (const { before, step, now, verdict } of answers) expect(decideAgain(before, step, now)).toEqual(verdict);
    });
  });
});

describe.each(ORDINARY)('whatever is proposed under %s', (name, stories) => {
  it('a run is never RUNNING before the time its previous state was scheduled for, unless it ran already', () => {
    check(stories, ({ answers }) => {
      for (const { before, entered } of answers) {
        const waiting = before.state?.type === StateType.Scheduled || before.state?.type === StateType.Pending;
        const due = before.state?.details.scheduledTime;
        if (entered?.type !== StateType.Running || !waiting || due === undefined) continue;
        expect(entered.timestamp).toBeGreaterThanOrEqual(due);
      }
    });
  });

  it('a failure while RUNNING stands only when no attempt remains or no retry would mend it', () => {
    check(stories, ({ answers }) => {
      for (const { before, step, entered } of answers) {
        if (before.state?.type !== StateType.Running || entered?.type !== StateType.Failed) continue;
        const binding = name !== 'flowRunPolicy' || before.policy.retryConditionally;
        const hopeless = step.proposed.details.retriable === false && binding;
        expect(hopeless || before.policy.retries < before.runCount).toBe(true);
      }
    });
  });
});

describe('whatever is proposed for a flow run', () => {
  const stories = flowStories(flowRunPolicy);
  const pathsFrom = (holds: (from: StateType | null, to: StateType) => void): void =>
    check(stories, ({ answers }) => {
      for (const { before, entered } of answers) if (entered) holds(before.state?.type ?? null, entered.type);
    });

  it('once CANCELLING it only ever becomes CANCELLED [O04]', () => {
    pathsFrom((from, to) => {
      if (from === StateType.Cancelling) expect(to).toBe(StateType.Cancelled);
    });
  });

  it('once ended it is never paused, cancelling or crashed', () => {
    pathsFrom((from, to) => {
      if (from !== null && isTerminal(from)) expect(['PAUSED', 'CANCELLING', 'CRASHED']).not.toContain(to);
    });
  });

  it('only a RUNNING run pauses, and a paused one goes on, is scheduled or ends', () => {
    pathsFrom((from, to) => {
      if (to === StateType.Paused) expect(from).toBe(StateType.Running);
      if (from === StateType.Paused) expect(['PENDING', 'PAUSED', 'CANCELLING']).not.toContain(to);
    });
  });

  it('no pause fires twice in one attempt to get through', () => {
    check(stories, ({ answers }) => {
      for (const { before, step, entered } of answers) {
        if (entered?.type !== StateType.Paused) continue;
        expect(before.policy.pauseKeys).not.toContain(step.proposed.details.pauseKey);
      }
    });
  });

  it('a result that is kept is never lost to a state without one, except to a failure or a cancellation [O03]', () => {
    check(stories, ({ answers }) => {
      for (const { before, entered } of answers) {
        if (before.state?.type !== StateType.Completed || !before.state.data?.persisted || !entered) continue;
        const kept = entered.type === StateType.Completed && entered.data?.persisted;
        expect(kept || entered.type === StateType.Failed || entered.type === StateType.Cancelled).toBe(true);
      }
    });
  });

  it('its own retries and delays never change', () => {
    check(stories, ({ run, answers }) => {
      const first = answers[0]?.before ?? run;
      const { retries, retryDelaysMs } = first.policy;
      expect(run.policy).toMatchObject({ retries, retryDelaysMs });
    });
  });

  it('it holds at most one slot of its deployment, and none once it has stopped [O14] [O26]', () => {
    check(stories, ({ run, answers }) => {
      let held = false;
      for (const { verdict, before } of answers) {
        for (const { kind } of 'effects' in verdict ? verdict.effects : []) {
          // One that starts without its lease takes another slot: then the one it had is gone.
          if (kind === 'take-deployment-slot') expect(held && before.state?.type !== StateType.Pending).toBe(false);
          if (kind === 'take-deployment-slot') held = true;
          if (kind === 'release-deployment-slot') held = false;
        }
      }
      if (run.state === null) return;
      // One that pauses in its process goes on there, and keeps its slot.
      const isSuspended = run.state.type === StateType.Paused && run.state.details.pauseReschedule === true;
      if (isSuspended || isTerminal(run.state.type)) expect(held).toBe(false);
    });
  });
});

describe('whatever is proposed for a native task run', () => {
  it('its outcome is the last state of its history', () => {
    check(taskStories(nativeTaskRunPolicy), ({ history }) => {
      expect(history.slice(0, -1).filter(({ type }) => isTerminal(type))).toEqual([]);
    });
  });
});

describe('whatever is proposed for a task run by a client', () => {
  it('it holds slots only while it is RUNNING or CANCELLING [O18]', () => {
    check(taskStories(coreTaskRunPolicy), ({ run, answers }) => {
      let held = false;
      for (const { verdict } of answers) {
        for (const { kind } of 'effects' in verdict ? verdict.effects : []) {
          if (kind === 'take-tag-slots') held = true;
          if (kind === 'release-tag-slots') held = false;
        }
      }
      if (run.state?.type !== StateType.Running && run.state?.type !== StateType.Cancelling) expect(held).toBe(false);
    });
  });
});

/** The bookkeeping of a run, told from its history alone. */
function bookkeepingOf(history: readonly State[]): Partial<Run> {
  const first = history[0];
  const last = history.at(-1);
  const started = history.find(({ type }) => type === StateType.Running || isTerminal(type));
  const lastGoing = history.findLastIndex(({ type }) => !isTerminal(type));
  const visits = history.slice(0, -1).filter(({ type }) => type === StateType.Running);
  return {
    expectedStartTime: first ? (first.details.scheduledTime ?? first.timestamp) : null,
    nextScheduledStartTime: last?.type === StateType.Scheduled ? (last.details.scheduledTime ?? last.timestamp) : null,
    startTime: started?.timestamp ?? null,
    endTime: history[lastGoing + 1]?.timestamp ?? null,
    totalRunTimeUs: visits.reduce(
      (sum, visit) => sum + history[history.indexOf(visit) + 1]!.timestamp - visit.timestamp,
      0,
    ),
  };
}

/** How many attempts a history tells of: the visits to RUNNING, without those in which an attempt went on. */
function attemptsIn(history: readonly State[], policy: string): number {
  const resumes = policy === 'flowRunPolicy';
  const startsOver = ['coreTaskRunPolicy', 'clientSideTaskRunPolicy', 'backgroundTaskRunPolicy'].includes(policy);
  let attempts = 0;
  let goingOn = false;
  history.forEach((state, index) => {
    const from = history[index - 1];
    if (startsOver && from && isTerminal(from.type) && !isTerminal(state.type)) attempts = 0;
    const takenOver = from?.type === StateType.Running && state.name === 'AwaitingResume';
    if (resumes && (from?.type === StateType.Paused || (takenOver && state.type === StateType.Scheduled)))
      goingOn = true;
    if (isTerminal(state.type)) goingOn = false;
    if (state.type !== StateType.Running) return;
    if (!goingOn || attempts === 0) attempts += 1;
    goingOn = false;
  });
  return attempts;
}

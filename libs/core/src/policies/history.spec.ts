import * as fc from 'fast-check';
import { isTerminal, STATE_TYPES, StateType, type ProposedState, type State } from '../states/state.js';
import { addMicros, instantOfMicros, type Instant } from '../time/instant.js';
import { advanceFlowRun, advanceTaskRun } from '../transitions/advance.js';
import { decide, type Verdict } from '../transitions/decide.js';
import type { FlowRun, Run, TaskRun } from '../transitions/run.js';
import { flowRunPolicy } from './flow-run.policy.js';
import { nativeTaskRunPolicy } from './native-task-run.policy.js';

/** One thing somebody proposes, and how far the clock has moved since the last one; clocks may be set back. */
interface Step {
  readonly proposed: ProposedState;
  readonly clockUs: number;
  readonly reschedulable: boolean;
}

type AnyRun = FlowRun | TaskRun;

/** What became of a sequence of proposals. */
interface Story<R extends Run> {
  readonly run: R;
  readonly history: readonly State[];
  readonly answers: readonly { before: R; step: Step; now: Instant; verdict: Verdict; entered: State | null }[];
}

const START = instantOfMicros(1_800_000_000_000_000);

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    proposed: fc.record({
      type: fc.constantFrom(...STATE_TYPES),
      name: fc.constantFrom('Pending', 'Running', 'Submitting', 'Late', 'Other'),
      message: fc.option(fc.string({ maxLength: 5 })),
      details: fc.record(
        {
          scheduledTime: fc.integer({ min: -1_000, max: 5_000 }).map((us) => addMicros(START, us)),
          transitionId: fc.constantFrom('a', 'b', 'c'),
          retriable: fc.boolean(),
          interrupted: fc.boolean(),
        },
        { requiredKeys: [] },
      ),
    }),
    clockUs: fc.integer({ min: -500, max: 2_000 }),
    reschedulable: fc.boolean(),
  }),
  { maxLength: 30 },
);

const retryPolicies = fc.record({
  retries: fc.nat(3),
  retryDelaysMs: fc.array(fc.constantFrom(0, 0.3, 1, 2), { maxLength: 3 }),
});

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
  decideOn: (run: R, step: Step, now: Instant) => Verdict,
  advance: (run: R, state: State, verdict: Extract<Verdict, { kind: 'accept' | 'reject' }>) => R,
): Story<R> {
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
      run = advance(run, entered, verdict);
      history.push(entered);
    }
    answers.push({ before, step, now, verdict, entered });
  }
  return { run, history, answers };
}

const flowStories = fc
  .tuple(retryPolicies, fc.nat(2), steps)
  .map(([retries, maxRecoveries, sequence]): Story<FlowRun> => {
    const policy = { ...retries, resuming: false, pauseKeys: [], retryType: null, recoveries: 0, maxRecoveries };
    return play<FlowRun>(
      { ...BLANK, kind: 'flow-run', parentTaskRunId: null, policy },
      sequence,
      (run, { proposed, reschedulable }, now) =>
        decided(decide(flowRunPolicy, { run, proposed, now }, { reschedulable })),
      (run, state, verdict) => advanceFlowRun(run, state, verdict.policy),
    );
  });

const taskStories = fc.tuple(retryPolicies, steps).map(([policy, sequence]): Story<TaskRun> =>
  play<TaskRun>(
    { ...BLANK, kind: 'task-run', flowRunId: 'flow', flowRunRunCount: 0, policy },
    sequence,
    (run, { proposed }, now) => decided(decide(nativeTaskRunPolicy, { run, proposed, now }, {})),
    (run, state) => advanceTaskRun(run, state, 1),
  ),
);

function decided(verdict: ReturnType<typeof decide>): Verdict {
  if (verdict.kind === 'needs-facts') throw new Error(`asked for ${verdict.names.join(', ')}`);
  return verdict;
}

const check = <R extends Run>(stories: fc.Arbitrary<Story<R>>, holds: (story: Story<R>) => void): void =>
  fc.assert(fc.property(stories, holds), { numRuns: 1_000 });

describe.each<[string, fc.Arbitrary<Story<AnyRun>>]>([
  ['flow run', flowStories],
  ['task run', taskStories],
])('whatever is proposed for a %s', (_, stories) => {
  it('its history is strictly increasing in time and ends with its state', () => {
    check(stories, ({ run, history }) => {
      history.slice(1).forEach((state, index) => expect(state.timestamp).toBeGreaterThan(history[index]!.timestamp));
      expect(run.state).toEqual(history.at(-1) ?? null);
    });
  });

  it('every field of its bookkeeping is what its history says', () => {
    check(stories, ({ run, history }) => {
      expect(run).toMatchObject(bookkeepingOf(history, run.kind));
    });
  });

  it('it is never RUNNING before the time its previous state was scheduled for, unless it ran already', () => {
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
        const hopeless = before.policy.retries < before.runCount;
        expect(hopeless || step.proposed.details.retriable === false).toBe(true);
      }
    });
  });

  it('what is not entered changes nothing', () => {
    check(stories, ({ answers }) => {
      answers.forEach(({ before, entered }, index) => {
        const after = answers[index + 1]?.before;
        if (!entered && after) expect(after).toBe(before);
      });
    });
  });

  it('asking twice gives the same answer', () => {
    check(stories, ({ answers }) => {
      for (const { before, step, now, verdict } of answers) {
        const transition = { proposed: step.proposed, now };
        const again =
          before.id === 'run' && 'flowRunId' in before
            ? decide(nativeTaskRunPolicy, { run: before, ...transition }, {})
            : decide(flowRunPolicy, { run: before as FlowRun, ...transition }, step);
        expect(again).toEqual(verdict);
      }
    });
  });
});

describe('whatever is proposed for a flow run', () => {
  it('once CANCELLING it only ever becomes CANCELLED', () => {
    check(flowStories, ({ answers }) => {
      for (const { before, entered } of answers) {
        if (before.state?.type === StateType.Cancelling && entered) expect(entered.type).toBe(StateType.Cancelled);
      }
    });
  });

  it('once ended it is never paused, cancelling or crashed', () => {
    check(flowStories, ({ answers }) => {
      for (const { before, entered } of answers) {
        if (!before.state || !isTerminal(before.state.type) || !entered) continue;
        expect(['PAUSED', 'CANCELLING', 'CRASHED']).not.toContain(entered.type);
      }
    });
  });

  it('it is given up by the rules when too many of its processes died, and then only', () => {
    check(flowStories, ({ answers }) => {
      for (const { before, step, entered } of answers) {
        if (entered?.type !== StateType.Crashed || step.proposed.type === StateType.Crashed) continue;
        expect(step.proposed).toMatchObject({
          type: 'SCHEDULED',
          name: 'AwaitingResume',
          details: { interrupted: true },
        });
        expect(before.policy.recoveries).toBeGreaterThanOrEqual(before.policy.maxRecoveries);
      }
    });
  });

  it('a recovery is counted when its process died, not when that handed the run back', () => {
    check(flowStories, ({ run, answers }) => {
      answers.forEach(({ before, step: { proposed }, entered }, index) => {
        const after = answers[index + 1]?.before ?? run;
        const wasActive = before.state?.type === StateType.Pending || before.state?.type === StateType.Running;
        const died =
          wasActive && proposed.type === StateType.Scheduled && proposed.name === 'AwaitingResume' && entered !== null;
        const more = died && proposed.details.interrupted === true ? 1 : 0;
        expect(after.policy.recoveries).toBe(before.policy.recoveries + more);
      });
    });
  });

  it('its own retries and delays never change', () => {
    check(flowStories, ({ run, answers }) => {
      const first = answers[0]?.before ?? run;
      const { retries, retryDelaysMs } = first.policy;
      expect(run.policy).toMatchObject({ retries, retryDelaysMs });
    });
  });
});

describe('whatever is proposed for a task run', () => {
  it('its outcome is the last state of its history', () => {
    check(taskStories, ({ history }) => {
      expect(history.slice(0, -1).filter(({ type }) => isTerminal(type))).toEqual([]);
    });
  });
});

/** The bookkeeping of a run, told from its history alone. */
function bookkeepingOf(history: readonly State[], kind: AnyRun['kind']): Partial<Run> {
  const first = history[0];
  const last = history.at(-1);
  const started = history.find(({ type }) => type === StateType.Running || isTerminal(type));
  const lastGoing = history.findLastIndex(({ type }) => !isTerminal(type));
  const visits = history.slice(0, -1).filter(({ type }) => type === StateType.Running);
  return {
    runCount: attemptsOf(history, kind),
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

/** How often a run began to run; coming back to an attempt of a flow run that was interrupted is none. */
function attemptsOf(history: readonly State[], kind: AnyRun['kind']): number {
  let attempts = 0;
  let interrupted = false;
  history.forEach((state, index) => {
    const isRecovery = kind === 'flow-run' && state.type === StateType.Scheduled && state.name === 'AwaitingResume';
    if (isRecovery && history[index - 1]?.type === StateType.Running) interrupted = true;
    if (state.type === StateType.Running && !interrupted) attempts += 1;
    if (state.type === StateType.Running || isTerminal(state.type)) interrupted = false;
  });
  return attempts;
}

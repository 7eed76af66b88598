import type { State, StateType } from '../states/state.js';
import { instantOfMicros, type Instant } from '../time/instant.js';
import { advanceFlowRun, advanceTaskRun } from './advance.js';
import type { FlowRun, TaskRun } from './run.js';

const at = (micros: number): Instant => instantOfMicros(micros);

function state(type: StateType, timestamp: number, scheduledTime?: number): State {
  const details = scheduledTime === undefined ? {} : { scheduledTime: at(scheduledTime) };
  return { id: `${type}@${timestamp}`, type, name: type, message: null, details, timestamp: at(timestamp) };
}

const NEW = {
  id: 'r',
  state: null,
  runCount: 0,
  expectedStartTime: null,
  nextScheduledStartTime: null,
  startTime: null,
  endTime: null,
  totalRunTimeUs: 0,
} as const;

const newFlowRun: FlowRun = {
  ...NEW,
  kind: 'flow-run',
  parentTaskRunId: null,
  policy: {
    retries: 2,
    retryDelaysMs: [1],
    resuming: false,
    pauseKeys: ['a'],
    retryType: null,
    recoveries: 0,
    maxRecoveries: 10,
  },
};

const newTaskRun: TaskRun = {
  ...NEW,
  kind: 'task-run',
  flowRunId: 'f',
  flowRunRunCount: 0,
  policy: { retries: 2, retryDelaysMs: [1] },
};

const flowRunAfter = (...states: State[]): FlowRun =>
  states.reduce((run, entered) => advanceFlowRun(run, entered, {}), newFlowRun);

const taskRunAfter = (...states: State[]): TaskRun =>
  states.reduce((run, entered) => advanceTaskRun(run, entered, 1), newTaskRun);

describe.each([
  ['advanceFlowRun', flowRunAfter],
  ['advanceTaskRun', taskRunAfter],
])('%s', (_, runAfter) => {
  it('puts the run into the state it entered', () => {
    const entered = state('PENDING', 5);
    expect(runAfter(entered).state).toBe(entered);
  });

  describe('runCount', () => {
    it('counts every visit to RUNNING and nothing else', () => {
      const run = runAfter(
        state('SCHEDULED', 1),
        state('PENDING', 2),
        state('RUNNING', 3),
        state('SCHEDULED', 4),
        state('RUNNING', 5),
        state('RUNNING', 6),
        state('COMPLETED', 7),
      );
      expect(run.runCount).toBe(3);
    });
  });

  describe('expectedStartTime', () => {
    it('is the scheduled time of the first state', () => {
      expect(runAfter(state('SCHEDULED', 1, 100)).expectedStartTime).toBe(100);
    });

    it('is the time of the first state when nothing was scheduled', () => {
      expect(runAfter(state('PENDING', 1)).expectedStartTime).toBe(1);
    });

    it('stays what it was at first', () => {
      const run = runAfter(state('SCHEDULED', 1, 100), state('SCHEDULED', 101, 200), state('RUNNING', 201));
      expect(run.expectedStartTime).toBe(100);
    });
  });

  describe('nextScheduledStartTime', () => {
    it('is the scheduled time while the run is SCHEDULED', () => {
      expect(runAfter(state('SCHEDULED', 1, 100)).nextScheduledStartTime).toBe(100);
      expect(runAfter(state('SCHEDULED', 1, 100), state('SCHEDULED', 2, 200)).nextScheduledStartTime).toBe(200);
    });

    it('is now when a run is SCHEDULED without a time', () => {
      expect(runAfter(state('SCHEDULED', 7)).nextScheduledStartTime).toBe(7);
    });

    it.each<StateType>(['PENDING', 'RUNNING', 'CANCELLED'])('is gone once the run is %s', (type) => {
      expect(runAfter(state('SCHEDULED', 1, 100), state(type, 2)).nextScheduledStartTime).toBeNull();
    });
  });

  describe('startTime', () => {
    it('is null before the run has started', () => {
      expect(runAfter(state('SCHEDULED', 1), state('PENDING', 2)).startTime).toBeNull();
    });

    it('is the first time the run was RUNNING, whatever comes later', () => {
      const run = runAfter(state('PENDING', 1), state('RUNNING', 2), state('SCHEDULED', 3), state('RUNNING', 4));
      expect(run.startTime).toBe(2);
    });

    it('is the end when the run never started', () => {
      expect(runAfter(state('SCHEDULED', 1), state('CANCELLED', 9))).toMatchObject({ startTime: 9, endTime: 9 });
    });
  });

  describe('endTime', () => {
    it.each<StateType>(['COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED'])('is set by %s', (type) => {
      expect(runAfter(state('RUNNING', 1), state(type, 2)).endTime).toBe(2);
    });

    it.each<StateType>(['SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING'])('is null in %s', (type) => {
      expect(runAfter(state('RUNNING', 1), state(type, 2)).endTime).toBeNull();
    });

    it('is that of the first terminal state when one follows another', () => {
      expect(runAfter(state('RUNNING', 1), state('FAILED', 2), state('COMPLETED', 5)).endTime).toBe(2);
    });

    it('is cleared by a rerun and set again by its end', () => {
      const rerun = runAfter(state('RUNNING', 1), state('FAILED', 2), state('SCHEDULED', 3));
      expect(rerun.endTime).toBeNull();
      expect(advanceAny(rerun, state('COMPLETED', 9)).endTime).toBe(9);
    });
  });

  describe('totalRunTimeUs', () => {
    it('is the time between entering RUNNING and leaving it', () => {
      expect(runAfter(state('RUNNING', 1_000), state('COMPLETED', 1_250)).totalRunTimeUs).toBe(250);
    });

    it('does not grow while the visit lasts', () => {
      expect(runAfter(state('PENDING', 1), state('RUNNING', 500)).totalRunTimeUs).toBe(0);
    });

    it('adds up all visits and leaves out the time between them', () => {
      const run = runAfter(
        state('RUNNING', 100),
        state('PAUSED', 110),
        state('RUNNING', 1_000),
        state('RUNNING', 1_005),
        state('FAILED', 1_007),
      );
      expect(run.totalRunTimeUs).toBe(10 + 5 + 2);
    });

    it('never shrinks, though a clock were set back', () => {
      expect(runAfter(state('RUNNING', 100), state('COMPLETED', 90)).totalRunTimeUs).toBe(0);
    });
  });

  it('leaves the run it is given as it was', () => {
    const before = runAfter(state('RUNNING', 1));
    const copy = structuredClone(before);
    advanceAny(before, state('FAILED', 2));
    expect(before).toEqual(copy);
  });

  function advanceAny(run: FlowRun | TaskRun, entered: State): FlowRun | TaskRun {
    return run.kind === 'flow-run' ? advanceFlowRun(run, entered, {}) : advanceTaskRun(run, entered, 1);
  }
});

describe('advanceFlowRun', () => {
  it('keeps what it does not know about', () => {
    expect(flowRunAfter(state('RUNNING', 1), state('COMPLETED', 2))).toMatchObject({
      kind: 'flow-run',
      id: 'r',
      parentTaskRunId: null,
      policy: newFlowRun.policy,
    });
  });

  it('takes over what the rules changed in the policy, and only that', () => {
    const run = advanceFlowRun(newFlowRun, state('SCHEDULED', 1), { retryType: 'in_process' });
    expect(run.policy).toEqual({ ...newFlowRun.policy, retryType: 'in_process' });
  });

  describe('a run that resumes', () => {
    const resuming: FlowRun = { ...newFlowRun, runCount: 1, policy: { ...newFlowRun.policy, resuming: true } };

    it('does not count coming back as an attempt, and is no longer resuming then', () => {
      expect(advanceFlowRun(resuming, state('RUNNING', 1), {})).toMatchObject({
        runCount: 1,
        policy: { resuming: false },
      });
    });

    it('goes on resuming while it waits to come back', () => {
      const waiting = advanceFlowRun(resuming, state('SCHEDULED', 1), {});
      expect(advanceFlowRun(waiting, state('PENDING', 2), {}).policy.resuming).toBe(true);
    });

    it('stops resuming when it ends instead', () => {
      expect(advanceFlowRun(resuming, state('CANCELLED', 1), {}).policy.resuming).toBe(false);
    });

    it('counts again after that', () => {
      const back = advanceFlowRun(resuming, state('RUNNING', 1), {});
      expect(advanceFlowRun(back, state('RUNNING', 2), {}).runCount).toBe(2);
    });

    it('is told so by the very transition that brings it back', () => {
      const run = advanceFlowRun({ ...newFlowRun, runCount: 1 }, state('RUNNING', 1), { resuming: true });
      expect(run).toMatchObject({ runCount: 1, policy: { resuming: false } });
    });

    it('begins its first attempt when it was paused before it ever ran', () => {
      const run = advanceFlowRun(newFlowRun, state('RUNNING', 1), { resuming: true });
      expect(run).toMatchObject({ runCount: 1, policy: { resuming: false } });
    });
  });
});

describe('advanceTaskRun', () => {
  it('notes the attempt of the flow run whenever it starts', () => {
    const first = advanceTaskRun(newTaskRun, state('RUNNING', 1), 3);
    expect(first.flowRunRunCount).toBe(3);
    expect(advanceTaskRun(first, state('RUNNING', 2), 4).flowRunRunCount).toBe(4);
  });

  it('counts attempts from 1 again when the run starts over', () => {
    const ended = { ...newTaskRun, runCount: 3 };
    expect(advanceTaskRun(ended, state('RUNNING', 1), 1, true).runCount).toBe(1);
    expect(advanceTaskRun(ended, state('SCHEDULED', 1), 1, true).runCount).toBe(0);
    expect(advanceTaskRun(ended, state('RUNNING', 1), 1).runCount).toBe(4);
  });

  it('keeps that attempt in every other state', () => {
    const started = advanceTaskRun(newTaskRun, state('RUNNING', 1), 3);
    expect(advanceTaskRun(started, state('COMPLETED', 2), 9).flowRunRunCount).toBe(3);
  });
});

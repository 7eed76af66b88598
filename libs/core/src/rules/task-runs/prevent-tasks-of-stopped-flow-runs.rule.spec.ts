import { STATE_TYPES, StateType } from '../../states/state.js';
import { pending, running } from '../../states/states.js';
import { addMs, instantOfMs } from '../../time/instant.js';
import { decide } from '../../transitions/decide.js';
import type { Facts } from '../../transitions/facts.js';
import type { TaskRun } from '../../transitions/run.js';
import { preventTasksOfStoppedFlowRuns } from './prevent-tasks-of-stopped-flow-runs.rule.js';

const now = instantOfMs(0);

const verdictOf = (facts: Facts, flowRunId: string | null = 'f', proposed = running()) =>
  decide([preventTasksOfStoppedFlowRuns], { run: { state: null, flowRunId } as TaskRun, proposed, now }, facts);
const inState = (type: StateType, details = {}): Facts => ({ flowRun: { state: { type, details }, runCount: 1 } });

describe('prevent-tasks-of-stopped-flow-runs', () => {
  it('lets a task run start while its flow run is RUNNING', () => {
    expect(verdictOf(inState(StateType.Running)).kind).toBe('accept');
  });

  it('pauses it as long as its flow run [O19]', () => {
    const details = { pauseTimeout: addMs(now, 5), pauseReschedule: true };
    expect(verdictOf(inState(StateType.Paused, details))).toMatchObject({
      kind: 'reject',
      state: { type: 'PAUSED', name: 'NotReady', details },
    });
    expect(verdictOf(inState(StateType.Paused))).toMatchObject({ state: { name: 'NotReady', details: {} } });
  });

  it.each(STATE_TYPES.filter((type) => type !== StateType.Running && type !== StateType.Paused))(
    'turns it away while its flow run is %s [O19]',
    (type) => {
      expect(verdictOf(inState(type)).kind).toBe('abort');
    },
  );

  it.each<[string, Facts]>([
    ['has no state', { flowRun: { state: null, runCount: 0 } }],
    ['is gone', { flowRun: null }],
  ])('turns it away when its flow run %s', (_, facts) => {
    expect(verdictOf(facts).kind).toBe('abort');
  });

  it('asks nothing about a task run outside flows, or one that does not start', () => {
    expect(verdictOf({}, null).kind).toBe('accept');
    expect(verdictOf({}, 'f', pending()).kind).toBe('accept');
  });
});

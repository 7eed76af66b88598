import type { State } from '../states/state.js';
import { running } from '../states/states.js';
import { instantOfMs } from '../time/instant.js';
import type { FlowRun, TaskRun } from './run.js';
import { mirroredState, stateOfRun } from './state-of-run.js';

const state: State = { ...running({ details: { transitionId: 't' } }), id: 's', timestamp: instantOfMs(0) };
const flowRun = (parentTaskRunId: string | null) => ({ kind: 'flow-run', id: 'f', parentTaskRunId }) as FlowRun;
const taskRun = (flowRunId: string | null) => ({ kind: 'task-run', id: 't1', flowRunId }) as TaskRun;

describe('stateOfRun', () => {
  it.each<[string, FlowRun | TaskRun, object]>([
    ['a flow run', flowRun(null), { flowRunId: 'f' }],
    ['a subflow', flowRun('p'), { flowRunId: 'f', taskRunId: 'p' }],
    ['a task run', taskRun('f'), { flowRunId: 'f', taskRunId: 't1' }],
    ['a task run outside flows', taskRun(null), { taskRunId: 't1' }],
  ])('says whose state it is: of %s', (_, run, ids) => {
    expect(stateOfRun(run, state)).toEqual({ ...state, details: { transitionId: 't', ...ids } });
  });
});

describe('mirroredState', () => {
  it('is the state of the subflow, which it names, without what is only the subflow’s [O24]', () => {
    const data = { persisted: true, value: 'r' };
    const scheduledTime = instantOfMs(1);
    const details = { transitionId: 't', deploymentConcurrencyLeaseId: 'l', scheduledTime };
    expect(mirroredState('f', { ...state, details, data })).toEqual({
      type: 'RUNNING',
      name: 'Running',
      message: null,
      data,
      details: { scheduledTime, childFlowRunId: 'f' },
    });
  });
});

import { StateType } from '../../states/state.js';
import { paused } from '../../states/states.js';
import type { TaskRun } from '../../transitions/run.js';
import { abort, pass, replace, type Rule } from '../../transitions/transition.js';

/** A task run starts only while its flow run is RUNNING; while that is paused, so is the task run, for as long. */
export const preventTasksOfStoppedFlowRuns: Rule<TaskRun> = {
  name: 'prevent-tasks-of-stopped-flow-runs',
  from: 'any',
  to: [StateType.Running],
  needs: ({ run }) => (run.flowRunId === null ? [] : ['flowRun']),
  decide({ run }, { flowRun }) {
    if (run.flowRunId === null) return pass();
    const state = flowRun?.state;
    if (!state) return abort('The flow run of the task run has no state.');
    if (state.type === StateType.Running) return pass();
    if (state.type !== StateType.Paused) return abort(`The flow run of the task run is ${state.type}, not RUNNING.`);

    const { pauseTimeout, pauseReschedule } = state.details;
    const details = {
      ...(pauseTimeout !== undefined && { pauseTimeout }),
      ...(pauseReschedule !== undefined && { pauseReschedule }),
    };
    return replace(paused({ name: 'NotReady', details }), 'The flow run of the task run is paused.');
  },
};

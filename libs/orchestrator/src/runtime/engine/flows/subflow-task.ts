import type { FlowDefinition, RunSettings } from '../../registry/definitions.js';
import type { CalledTask } from '../tasks/task-call.js';

/** The run of the subflow is tried again, not the task run that stands for it. */
const SUBFLOW_SETTINGS: RunSettings = {
  policy: { retries: 0, retryDelaysMs: [] },
  retryCondition: null,
  timeoutMs: null,
  tags: [],
  runName: null,
  caching: null,
  persistResult: true,
  captureConsole: null,
};

/** The task that stands for a subflow in the run that calls it. */
export function standInOf({ name, source }: FlowDefinition): CalledTask {
  return {
    name,
    subject: `flow "${name}"`,
    taskKey: `flow:${name}`,
    recordStart: false,
    transactionHooks: null,
    transactional: null,
    givenVersion: null,
    source,
    hooks: null,
    ...SUBFLOW_SETTINGS,
  };
}

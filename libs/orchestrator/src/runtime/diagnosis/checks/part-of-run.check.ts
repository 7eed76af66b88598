import { isTerminal, StateType } from '@nestor/core';
import type { RunCheck } from '../run-check.js';

/** Another run called it: who executes that executes this one as well. */
export const partOfRun: RunCheck = ({ row }) => {
  const { id, rootFlowRunId, stateType } = row;
  if (rootFlowRunId === id || (stateType !== null && isTerminal(stateType))) return [];
  return [
    {
      code: 'PART_OF_RUN',
      message: `It is part of flow run ${rootFlowRunId}, and goes on when that does: ask why that one is not running.`,
      blocks: stateType !== StateType.Running,
      data: { rootFlowRunId },
    },
  ];
};

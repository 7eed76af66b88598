import { formatInstant, isTerminal } from '@nestor/core';
import type { RunCheck } from '../run-check.js';

/** It is over. */
export const ended: RunCheck = ({ row, state }) => {
  const { stateType, stateName, endTime } = row;
  if (stateType === null || !isTerminal(stateType)) return [];
  const name = stateName ?? stateType;
  const at = endTime ?? row.stateTimestamp;
  const when = at === null ? '' : ` at ${formatInstant(at)}`;
  const message = state?.message ?? null;
  return [
    {
      code: 'ENDED',
      message: `It ended as ${name}${when}${message === null ? '.' : `: ${message}`}`,
      blocks: true,
      data: { stateType, stateName: name, at, message },
    },
  ];
};

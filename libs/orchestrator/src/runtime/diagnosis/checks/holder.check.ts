import { formatInstant, isTerminal, StateType } from '@nestor/core';
import { describeProcess, namedProcess, type RunCheck } from '../run-check.js';

/** States in which a run that somebody has is executed, or is about to be. */
const GOING_ON: readonly (StateType | null)[] = [StateType.Pending, StateType.Running, StateType.Cancelling];

/** Somebody has it: it is running, or about to, or whoever has it is late or gone. */
export const holder: RunCheck = ({ row, holder: process, now }) => {
  const { processId, stateType, nextScheduledStartTime } = row;
  if (processId === null || (stateType !== null && isTerminal(stateType))) return [];
  if (!process || process.isFenced) {
    return [
      {
        code: 'PROCESS_GONE',
        message: `The process that executed it (${processId}) is gone. Whoever has its flow takes it over within seconds.`,
        blocks: true,
        data: { processId },
      },
    ];
  }
  const named = namedProcess(process);
  if (process.isLate) {
    const { heartbeatAt, deadAt } = process;
    return [
      {
        code: 'PROCESS_LATE',
        message:
          `It is in the hands of ${describeProcess(named)}, whose last sign was at ${formatInstant(heartbeatAt)}. Unless it ` +
          `gives another one, others take the run over at ${formatInstant(deadAt)} at the latest.`,
        blocks: true,
        data: { process: named, heartbeatAt, takenOverBy: deadAt },
      },
    ];
  }
  const isBeginning = stateType === StateType.Scheduled && (nextScheduledStartTime ?? now) <= now;
  if (!isBeginning && !GOING_ON.includes(stateType)) return [];
  const since = row.stateTimestamp;
  const what =
    stateType === StateType.Running ? 'It is running' : isBeginning ? 'It is about to begin' : `It is ${row.stateName}`;
  return [
    {
      code: 'RUNNING',
      message: `${what} in ${describeProcess(named)}${since === null ? '' : ` since ${formatInstant(since)}`}.`,
      blocks: false,
      data: { process: named, state: stateType ?? StateType.Pending, since },
    },
  ];
};

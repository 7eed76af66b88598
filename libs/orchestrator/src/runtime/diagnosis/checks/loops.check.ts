import { formatInstant, isTerminal, parseInstant, StateType } from '@nestor/core';
import { ableProcesses } from '../able-processes.js';
import { describeProcess, namedProcess, type ExaminedRun, type RunCheck } from '../run-check.js';

/** Whoever is to see to it next has not looked for too long. It is in its way where that is so of everybody. */
export const loops: RunCheck = async (run) => {
  const awaited = awaitedLoop(run);
  if (awaited === null) return [];
  const { alive, withRoom } = await ableProcesses(run);
  const able = awaited === 'claimer' ? withRoom : alive;
  const behind = able.flatMap((process) =>
    (process.loopsBehind ?? [])
      .filter(({ loop }) => loop === awaited)
      .map(({ loop, since }) => ({ ...namedProcess(process), loop, since: parseInstant(since) })),
  );
  const [first, ...more] = behind;
  if (!first) return [];
  const others = more.length > 0 ? ` and ${more.length} more` : '';
  const message =
    `${DOES[awaited]} is behind in ${describeProcess(first)}, since ${formatInstant(first.since)}${others}: that process or the ` +
    `database is overloaded; see its log.`;
  return [{ code: 'LOOP_BEHIND', message, blocks: behind.length === able.length, data: { loops: behind } }];
};

const DOES = {
  sweeper: 'Taking over runs of dead processes',
  turns: 'Giving turns to runs of schedules',
  slots: 'Handing over slots',
  claimer: 'Claiming runs',
} as const;

/** Which loop does what the run waits for; `null` when it waits for something else. */
function awaitedLoop({ row, holder, now }: ExaminedRun): keyof typeof DOES | null {
  const { stateType, stateName, processId, rootFlowRunId, id, awaitsTurn, nextScheduledStartTime } = row;
  if (id !== rootFlowRunId || (stateType !== null && isTerminal(stateType))) return null;
  if (processId !== null) return !holder || holder.isFenced || holder.isLate ? 'sweeper' : null;
  if (stateType !== StateType.Scheduled) return null;
  if (stateName === 'AwaitingConcurrencySlot') return 'slots';
  if ((nextScheduledStartTime ?? now) > now) return null;
  return awaitsTurn ? 'turns' : 'claimer';
}

/**
 * Where the processes of a schema hear of what concerns all; channels are per database. A schema's name leaves room for
 * the prefix within 63 bytes.
 */
export function channelOf(quotedSchema: string): string {
  return `nestor_${quotedSchema.slice(1, -1)}`;
}

/** Where those hear of waiting runs who take such: a process that takes none is not woken for each of them. */
export function channelOfDue(quotedSchema: string): string {
  return `${channelOf(quotedSchema)}:due`; // the name of a schema has no colon, and leaves room for this
}

const PROCESS_CHANNEL = 'nestor_process_';

/** Where a process hears of what concerns it alone, and wakes nobody else. */
export function channelOfProcess(processId: string): string {
  return PROCESS_CHANNEL + processId;
}

/** The same in a statement. */
export const channelOfProcessSql = (processId: string): string => `'${PROCESS_CHANNEL}' || ${processId}`;

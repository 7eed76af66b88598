import type { Sabotage } from './sabotage.js';

/** Switches a mechanism off in this process, of whose modules none is loaded yet. */
export async function switchOff(sabotage: Sabotage): Promise<void> {
  switch (sabotage) {
    case 'fence':
      return (await import('./fence.js')).switchOffFence();
    case 'journal':
      return (await import('./journal.js')).switchOffJournal();
    case 'sweeper':
      return (await import('./sweeper.js')).switchOffSweeper();
    case 'replay':
      return (await import('./replay.js')).switchOffReplay();
    case 'instants':
      return (await import('./schedules.js')).leaveInstantsOut();
    case 'schedule-keys':
      return (await import('./schedules.js')).switchOffScheduleKeys();
    case 'slot-count':
      return; // it is one of the database: see `giveOneSlotMore`
    case 'slot-keeper':
      return (await import('./slots.js')).switchOffSlotKeeper();
    case 'enqueue':
      return (await import('./queue.js')).loseEnqueuedRuns();
    case 'pool-lock':
      return (await import('./queue.js')).switchOffPoolLock();
    case 'host-transaction':
      return (await import('./queue.js')).leaveHostTransactions();
  }
}

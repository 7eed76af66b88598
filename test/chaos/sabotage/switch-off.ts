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
  }
}

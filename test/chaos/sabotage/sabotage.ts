import type { LoadName } from '../loads/load-settings.js';

/**
 * What can be switched off, and under which load that shows:
 * - `fence`: a process that was taken for dead writes on
 * - `journal`: states are acknowledged some time before they are written
 * - `sweeper`: nobody takes over the runs of dead processes
 * - `replay`: a resumed run finds nothing recorded
 * - `instants`: the runs of some times of schedules are not made
 * - `schedule-keys`: processes make the runs of a schedule side by side, and no key tells that they are there
 * - `slot-count`: a limit has one slot more than it says
 * - `slot-keeper`: nobody frees the slots of dead processes
 * - `enqueue`: some runs are acknowledged and not created
 * - `pool-lock`: processes take runs of a limited pool side by side
 * - `host-transaction`: what is enqueued in a transaction of the application is no part of it
 */
export const SABOTAGES = {
  fence: 'engine',
  journal: 'engine',
  sweeper: 'engine',
  replay: 'engine',
  instants: 'schedules',
  'schedule-keys': 'schedules',
  'slot-count': 'limits',
  'slot-keeper': 'limits',
  enqueue: 'queue',
  'pool-lock': 'queue',
  'host-transaction': 'queue',
} as const satisfies Record<string, LoadName>;

export type Sabotage = keyof typeof SABOTAGES;

import type { Load } from './kinds.js';
import type { LoadName } from './load-settings.js';
import { limitsLoad } from './limits/limits.load.js';
import { queueLoad } from './queue/queue.load.js';
import { schedulesLoad } from './schedules/schedules.load.js';

const engineLoad: Load = {
  about: 'flows and tasks of all kinds, which clients start, pause, resume and cancel',
  nodes: 4,
  secondsPerKill: 3,
  prepare: () => Promise.resolve(),
  settings: () => ({ name: 'engine' }),
};

export const LOADS: Readonly<Record<LoadName, Load>> = {
  engine: engineLoad,
  schedules: schedulesLoad,
  limits: limitsLoad,
  queue: queueLoad,
};

export const LOAD_NAMES = Object.keys(LOADS) as LoadName[];

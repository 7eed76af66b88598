import type { EngineSettings } from '../messages.js';
import { engineApplication } from './engine/engine.application.js';
import type { LoadedApplication } from './kinds.js';
import { limitsApplication } from './limits/limits.application.js';
import { queueApplication } from './queue/queue.application.js';
import { schedulesApplication } from './schedules/schedules.application.js';

/** What runs in a process that is told that. */
export function applicationOf({ load, url }: Pick<EngineSettings, 'load' | 'url'>): LoadedApplication {
  switch (load.name) {
    case 'engine':
      return engineApplication;
    case 'schedules':
      return schedulesApplication(load);
    case 'limits':
      return limitsApplication(load);
    case 'queue':
      return queueApplication(url);
  }
}

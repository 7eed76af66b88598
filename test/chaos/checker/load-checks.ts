import type { Client } from 'pg';
import type { LoadSettings } from '../loads/load-settings.js';
import type { Evidence } from './evidence.js';
import { checkQueuedRuns } from './queued-runs.js';
import { checkScheduledRuns } from './scheduled-runs.js';
import { checkSlots } from './slots.js';
import { checkUsage } from './usage.js';
import type { Checked } from './violation.js';

/** What is promised of a load besides what is promised of all. */
export async function checkLoad(client: Client, evidence: Evidence, load: LoadSettings): Promise<Checked> {
  switch (load.name) {
    case 'engine':
      return { violations: [], figures: {} };
    case 'schedules':
      return checkScheduledRuns(client, evidence, load);
    case 'limits':
      return checkSlots(client, evidence);
    case 'queue':
      return both(await checkQueuedRuns(client, evidence), await checkUsage(client));
  }
}

function both(one: Checked, other: Checked): Checked {
  return {
    violations: [...one.violations, ...other.violations],
    figures: { ...one.figures, ...other.figures },
  };
}

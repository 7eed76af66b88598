import { ExpiredEvents } from './expired-events.service.js';
import { ExpiredPublications } from './expired-publications.service.js';
import { ExpiredRuns } from './expired-runs.service.js';
import { ExpiredWeeks } from './expired-weeks.service.js';
import { Retention } from './retention.service.js';
import { RunDeletions } from './run-deletions.service.js';
import { RunRemains } from './run-remains.service.js';
import { Weeks } from './weeks.service.js';

/** What removes what is older than it is kept, or what somebody wants to be gone. */
export const retentionProviders = [
  ...[Weeks, RunRemains, ExpiredEvents, ExpiredPublications, ExpiredRuns, ExpiredWeeks, Retention],
  RunDeletions,
];

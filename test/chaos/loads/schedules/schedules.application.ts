import type { LoadSettings } from '../load-settings.js';
import type { LoadedApplication } from '../kinds.js';
import { scheduledFlows } from './scheduled-flows.js';

/** Nobody uses it: it runs on its own. */
export const schedulesApplication = ({
  schedules,
  endsAt,
}: Extract<LoadSettings, { name: 'schedules' }>): LoadedApplication => ({
  providers: [scheduledFlows(schedules, endsAt)],
  serve: () => ({ quiesce: () => undefined }),
});

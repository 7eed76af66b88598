import { Batches } from './batches.service.js';
import { FlowEnqueuer } from './flow-enqueuer.service.js';
import { ScheduledRuns } from './scheduled-runs.service.js';
import { KeyedRuns } from './keyed-runs.service.js';
import { SharedRuns } from './shared-runs.service.js';

/** Runs that wait: created, and shared by calls. */
export const schedulingProviders = [ScheduledRuns, KeyedRuns, SharedRuns, Batches, FlowEnqueuer];

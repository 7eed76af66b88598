import { Foreman } from './foreman.service.js';
import { Housekeeping } from './housekeeping.service.js';
import { RunHeartbeats } from './run-heartbeats.js';

/** What a process looks after from time to time. */
export const maintenanceProviders = [Housekeeping, RunHeartbeats, Foreman];

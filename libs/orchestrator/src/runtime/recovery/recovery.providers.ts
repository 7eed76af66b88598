import { OverdueRuns } from './overdue-runs.service.js';
import { RunClaimer } from './run-claimer.service.js';
import { RunOnce } from './run-once.service.js';
import { Sweeper } from './sweeper.service.js';
import { WaitingRuns } from './waiting-runs.service.js';

/** Runs of dead processes, and runs that wait, taken up. */
export const recoveryProviders = [RunClaimer, RunOnce, OverdueRuns, Sweeper, WaitingRuns];

import { ClaimedRuns } from './claimed-runs.service.js';
import { LaneClaims } from './lane-claims.service.js';
import { NamedClaims } from './named-claims.service.js';
import { OverdueRuns } from './overdue-runs.service.js';
import { RunClaimer } from './run-claimer.service.js';
import { RunOnce } from './run-once.service.js';
import { Sweeper } from './sweeper.service.js';
import { WaitingRuns } from './waiting-runs.service.js';

const claiming = [RunClaimer, NamedClaims, LaneClaims, ClaimedRuns];

/** Runs of dead processes, and runs that wait, taken up. */
export const recoveryProviders = [...claiming, RunOnce, OverdueRuns, Sweeper, WaitingRuns];

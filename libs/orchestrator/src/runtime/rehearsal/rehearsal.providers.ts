import { AttemptInspector } from './attempt-inspector.js';
import { DeployChecks } from './deploy-checks.service.js';
import { Rehearsals } from './rehearsals.service.js';
import { RunRecordings } from './run-recordings.service.js';

/** Methods tried on what is recorded. */
export const rehearsalProviders = [Rehearsals, AttemptInspector, RunRecordings, DeployChecks];

import { Backfills } from './backfills.service.js';
import { DeclaredDeployments } from './declared-deployments.service.js';
import { DeployedRuns } from './deployed-runs.service.js';
import { DeploymentEvents } from './deployment-events.js';
import { DeploymentForms } from './deployment-forms.service.js';
import { DeploymentRunner } from './deployment-runner.service.js';
import { DeploymentWriter } from './deployment-writer.service.js';
import { Deployments } from './deployments.service.js';
import { ServedDeployments } from './served-deployments.service.js';

/** What is made to run on its own. */
export const deploymentsProviders = [
  DeployedRuns,
  DeploymentForms,
  DeploymentEvents,
  DeploymentWriter,
  DeploymentRunner,
  DeclaredDeployments,
  ServedDeployments,
  Backfills,
  Deployments,
];

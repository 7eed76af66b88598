import { jobConfiguration, jobVariables } from '@nestor/core';
import type { FlowRunClaimsRepository } from '../../records/flow-runs/flow-run-claims.repository.js';

/** What the template of its pool says of the infrastructure of a run, with the variables of deployment and run filled in. */
export async function configurationOfJob(
  claims: FlowRunClaimsRepository,
  flowRunId: string,
): Promise<Readonly<Record<string, unknown>>> {
  const { template, deploymentVariables, runVariables } = await claims.jobOf(flowRunId);
  const base = template ?? {};
  return jobConfiguration(base, jobVariables(base, deploymentVariables, runVariables));
}

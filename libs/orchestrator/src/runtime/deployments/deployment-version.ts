import type { DeploymentVersionEntity } from '../../records/deployments/deployment-version.entity.js';
import type { DesiredDeployment, DesiredSchedule } from './desired-deployment.js';

/** What of a version is no schedule: sealed parameters and all. */
interface KeptConfiguration {
  readonly deployment: DesiredDeployment['configuration'];
  readonly schedules: readonly DesiredSchedule['configuration'][];
}

/** The configuration as a version keeps it. */
export function versionOf({
  configuration,
  schedules,
}: DesiredDeployment): Pick<DeploymentVersionEntity, 'version' | 'configuration'> {
  const kept: KeptConfiguration = {
    deployment: configuration,
    schedules: schedules.map((schedule) => schedule.configuration),
  };
  return { version: configuration.version, configuration: { ...kept } };
}

/**
 * The configuration that a version kept, to be put in the place of the present one. What follows from the code stays as it is.
 *
 * @param opened gives the form in which parameters are compared.
 */
export async function desiredOfVersion(
  name: string,
  { configuration }: DeploymentVersionEntity,
  present: Pick<DesiredDeployment['configuration'], 'empiricalPolicy' | 'flowVersion' | 'parameterOpenapiSchema'>,
  opened: (stored: string) => string | Promise<string>,
): Promise<DesiredDeployment> {
  const { deployment, schedules } = configuration as unknown as KeptConfiguration;
  const { empiricalPolicy, flowVersion, parameterOpenapiSchema } = present;
  return {
    name,
    // Versions of earlier releases say nothing of it.
    configuration: {
      ...deployment,
      fairness: deployment.fairness ?? null,
      empiricalPolicy,
      flowVersion,
      parameterOpenapiSchema,
    },
    encoded: await opened(deployment.parameters),
    paused: undefined,
    schedules: await Promise.all(
      schedules.map(async (schedule) => ({
        configuration: schedule,
        encoded: await opened(schedule.parameters),
        active: undefined,
      })),
    ),
  };
}

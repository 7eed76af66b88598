import { InvalidDeploymentError } from '../runtime/deployments/deployment-errors.js';
import { checkedDeployment, type DeploymentSpec } from '../runtime/deployments/deployment-spec.js';
import type { AnyDeployments, AnySchedule } from './deployment.options.js';

/** The deployment that schedules belong to which name none. */
const DEFAULT_NAME = 'default';

/**
 * The deployments that a flow declares, by its options and by `@Schedule()`.
 *
 * @throws {InvalidDeploymentError} and {@link DuplicateScheduleError} when they cannot be meant.
 */
export function resolvedDeployments(
  deployments: AnyDeployments = [],
  schedules: readonly AnySchedule[],
  flowName: string,
): readonly DeploymentSpec[] {
  const all = schedules.length === 0 ? deployments : withDefault(deployments, schedules);
  const names = new Set<string>();
  return all.map((options) => {
    const spec = checkedDeployment(options, flowName);
    if (names.has(spec.name)) throw new InvalidDeploymentError(`${flowName}/${spec.name}`, 'name', 'is given twice.');
    names.add(spec.name);
    return spec;
  });
}

function withDefault(deployments: AnyDeployments, schedules: readonly AnySchedule[]): AnyDeployments {
  const own = deployments.find(({ name }) => name === DEFAULT_NAME);
  if (!own) return [...deployments, { name: DEFAULT_NAME, schedules }];
  return deployments.map((one) =>
    one === own ? { ...own, schedules: [...(own.schedules ?? []), ...schedules] } : one,
  );
}

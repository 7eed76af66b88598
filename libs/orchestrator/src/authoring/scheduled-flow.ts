import {
  placeOf,
  type AuthoredMethod,
  type FlowDefinition,
  type ProviderClass,
} from '../runtime/registry/definitions.js';
import { parametersOfMethod } from './parameters/method-parameters.js';
import { resolvedDeployments } from './resolve-deployments.js';
import { resolvedName, resolvedSettings, resolvedVersion } from './resolve-options.js';
import type { ScheduledMethod } from './scheduled-methods.js';

interface ScheduledPlace {
  readonly provider: ProviderClass;
  readonly methodName: string;
  readonly method: AuthoredMethod;
  readonly receiver: FlowDefinition['receiver'];
}

/**
 * The flow that a method is because a decorator of another package says when it runs. It is called as that package would call it:
 * by its name on the instance, with nothing, whether it gives a promise or not, and past guards and their like; what it gives is
 * not kept. A call of the method by the application stays a call.
 */
export function scheduledFlow(place: ScheduledPlace, { name: given, schedule }: ScheduledMethod): FlowDefinition {
  const { provider, methodName, method } = place;
  const at = placeOf(place);
  const name = resolvedName(given, at, at);
  const deployment = { name: 'default', enforceParameterSchema: false };
  return {
    kind: 'flow',
    ...place,
    name,
    invoke: async (receiver, args) => {
      await (receiver as Record<string, AuthoredMethod>)[methodName]!.apply(receiver, [...args]);
    },
    description: null,
    ...resolvedVersion(undefined, method, at),
    ...resolvedSettings({}, at),
    hooks: null,
    onDivergence: undefined,
    deployments: schedule ? resolvedDeployments([{ ...deployment, schedules: [schedule] }], [], name) : [],
    pinToBuild: false,
    parameters: parametersOfMethod({
      flowName: name,
      prototype: provider.prototype as object,
      methodName,
      length: method.length,
      isValidated: false,
    }),
  };
}

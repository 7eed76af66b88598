import type { DeploymentOptions, FairnessPath, ScheduleOptions } from '../runtime/deployments/deployment-options.js';
import type { MethodParameters } from '../runtime/deployments/method-parameters.js';
import type { Referable } from '../runtime/references/reference.js';
import type { AsyncMethod } from './async-method.js';

/** Deployments of any method; of which one is looked at where the method is known. */
export type AnyDeployments = readonly DeploymentOptions<object>[];

/** Schedules of any method. */
export type AnySchedule = ScheduleOptions<object>;

/** What a method is checked against besides: that it takes the parameters that its deployments give it. */
export type FitsDeployments<M extends AsyncMethod, Deployed extends AnyDeployments> = Fitting<
  M,
  ParametersIn<Deployed[number]> | ParametersIn<SchedulesOf<Deployed[number]>>,
  Exclude<KeysOf<Deployed[number]>, KeysOf<DeploymentOptions>> | UnknownKeys<SchedulesOf<Deployed[number]>>
> &
  FairlyKeyed<Exclude<FairnessKeysIn<Deployed[number]>, FairnessPath<MethodParameters<M>>>>;

type FairlyKeyed<Wrong> = [Wrong] extends [never] ? unknown : { 'There is no text or number at this path': Wrong };

type FairnessKeysIn<T> = T extends { readonly fairness: { readonly key: infer Path } } ? Path : never;

/** The same for a schedule alone. */
export type FitsSchedule<M extends AsyncMethod, Scheduled extends object> = Fitting<
  M,
  ParametersIn<Scheduled>,
  UnknownKeys<Scheduled>
>;

type Fitting<M extends AsyncMethod, Given, Unknown> = [Unknown] extends [never]
  ? [Wrong<Given, MethodParameters<M>>] extends [never]
    ? unknown
    : { 'Parameters are given that the method does not take like that': Wrong<Given, MethodParameters<M>> }
  : { 'There is no such option': Unknown };

type UnknownKeys<Scheduled> = Exclude<KeysOf<Scheduled>, KeysOf<ScheduleOptions>>;

type KeysOf<T> = T extends unknown ? keyof T : never;

type SchedulesOf<Deployment> = Deployment extends { readonly schedules: readonly (infer One)[] } ? One : never;

type ParametersIn<T> = T extends { readonly parameters: infer Given } ? Given : never;

/** The names of those that the method does not have, or that are of another type. */
type Wrong<Given, All> = Given extends unknown
  ? {
      [
        Name in keyof Given
      ]: `${Name & (string | number)}` extends `${infer Known extends keyof All & (string | number)}`
        ? Given[Name] extends Referable<Readable<All[Known]>> | undefined
          ? never
          : Name
        : Name;
    }[keyof Given]
  : never;

/** What can be read like a value of that type: literals are inferred as read-only. */
type Readable<T> = T extends readonly (infer Item)[]
  ? readonly Readable<Item>[]
  : T extends (...args: never[]) => unknown
    ? T
    : T extends object
      ? { readonly [Key in keyof T]: Readable<T[Key]> }
      : T;

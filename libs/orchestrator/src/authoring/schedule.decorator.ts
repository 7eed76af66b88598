import 'reflect-metadata';
import type { CronScheduleInput } from '@nestor/core';
import type { ScheduleSettings } from '../runtime/deployments/deployment-options.js';
import type { AsyncMethod, Prototype } from './async-method.js';
import type { AnySchedule, FitsSchedule } from './deployment.options.js';

/** Metadata key of {@link Schedule}, by class and method. */
const SCHEDULES_METADATA = Symbol('nestor.schedules');

type CronSettings = ScheduleSettings<object> & Omit<CronScheduleInput, 'cron'>;

type Decorates<Scheduled extends object> = <T extends object, Decorated extends AsyncMethod>(
  target: Prototype<T>,
  key: string,
  method: TypedPropertyDescriptor<Decorated & FitsSchedule<Decorated, Scheduled>>,
) => void;

/**
 * Runs a flow at the times of a cron expression, on its deployment `default`; see {@link DeploymentOptions}. A method may have
 * several. `@Flow()` has to be there as well, in whichever order.
 *
 * @example
 * ```ts
 * @Schedule('0 2 * * 1-5', { timezone: 'Europe/Amsterdam', parameters: { region: 'north' } })
 * @Flow({ name: 'nightly-import' })
 * async importAll(params: ImportParams): Promise<ImportReport> { … }
 * ```
 */
export function Schedule<const Settings extends CronSettings = Record<never, never>>(
  cron: string,
  settings?: Settings,
): Decorates<Settings>;
/** Runs a flow at the times of `cron`, `interval` or `rrule`, on its deployment `default`. */
export function Schedule<const Scheduled extends AnySchedule>(schedule: Scheduled): Decorates<Scheduled>;
export function Schedule(when: string | AnySchedule, settings: CronSettings = {}) {
  const schedule: AnySchedule = typeof when === 'string' ? { cron: when, ...settings } : when;
  return (target: object, key: string): void => {
    // Decorators are applied from the last one up.
    const others = (Reflect.getOwnMetadata(SCHEDULES_METADATA, target, key) ?? []) as readonly AnySchedule[];
    Reflect.defineMetadata(SCHEDULES_METADATA, [schedule, ...others], target, key);
  };
}

/** The schedules of a method, in the order in which they are written. */
export function schedulesOf(prototype: object, methodName: string): readonly AnySchedule[] {
  return (Reflect.getMetadata(SCHEDULES_METADATA, prototype, methodName) ?? []) as readonly AnySchedule[];
}

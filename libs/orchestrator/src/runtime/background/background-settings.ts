import type { TaskDefinition } from '../registry/definitions.js';

/** A class whose tasks are meant, or one task: `Orders.ship`. */
export type ServedTasks = (abstract new (...args: never[]) => object) | string;

/** Which background tasks a process executes. */
export interface BackgroundTaskOptions {
  /** How many of them it executes at a time; a whole number from 1. Default 10. */
  readonly concurrency?: number;
  /** Only the tasks of these classes, and those with these keys (`Orders.ship`). Default: all of the application. */
  readonly tasks?: readonly ServedTasks[];
}

export interface BackgroundSettings {
  readonly concurrency: number;
  /** `null` for all. */
  readonly tasks: readonly ServedTasks[] | null;
}

/** Injection token of the {@link BackgroundSettings}; `null` in a process that executes none. */
export const BACKGROUND_SETTINGS = Symbol('nestor.background-settings');

/** Whether a process serves a task. */
export function serves(settings: BackgroundSettings | null, task: TaskDefinition): boolean {
  return settings !== null && (settings.tasks?.some((one) => isMeant(one, task)) ?? true);
}

/** Whether a task is among those that an entry of the option names. */
export function isMeant(one: ServedTasks, { provider, taskKey }: TaskDefinition): boolean {
  return one === provider || one === taskKey;
}

/**
 * What a process does for all processes of its application, besides executing runs. Every process may do all of it: whatever
 * several find to do, one does. Switched off everywhere, it is done nowhere.
 */
export interface ServiceOptions {
  /** Makes the runs of schedules ahead of their times, and gives those their turns that may not overlap. */
  readonly scheduler?: boolean;
  /** Says of runs that were due and that nobody takes that they are late. */
  readonly lateRuns?: boolean;
  /**
   * Takes runs over from processes that died, and ends pauses, cancellations and calls of tasks that nobody ends any more.
   * It looks after runs of flows whose code the process has: where it is on, the flows have to be.
   */
  readonly sweeper?: boolean;
  /** Frees slots of concurrency limits whose holders are gone, and tidies the lines of fairness keys. */
  readonly slots?: boolean;
  /** Tells which workers, pools, queues and deployments are served, and takes runs back that were submitted and do not begin. */
  readonly foreman?: boolean;
  /** Calls hooks that are owed by processes that died, or for runs that others ended. It needs the code of the flows as well. */
  readonly hooks?: boolean;
  /** Creates the partitions of the coming weeks, and forgets remembered outcomes that have expired. */
  readonly housekeeping?: boolean;
  /** Removes what is older than it is kept: see option `retention`. */
  readonly retention?: boolean;
}

type ServiceName = keyof ServiceOptions;

/** Every service there is. */
export const SERVICE_NAMES = [
  'scheduler',
  'lateRuns',
  'sweeper',
  'slots',
  'foreman',
  'hooks',
  'housekeeping',
  'retention',
] as const satisfies readonly ServiceName[];

/** The services that this process does. */
export type ServiceSettings = ReadonlySet<ServiceName>;

/** Injection token of the {@link ServiceSettings}. */
export const SERVICE_SETTINGS = Symbol('nestor.service-settings');

/** The services that options leave on; `invalid` makes the error for what cannot be meant. */
export function serviceSettings(
  options: ServiceOptions | false,
  invalid: (option: string, problem: string) => Error,
): ServiceSettings {
  if (options === false) return new Set();
  for (const [name, value] of Object.entries(options)) {
    if (!(SERVICE_NAMES as readonly string[]).includes(name)) {
      throw invalid(`services.${name}`, `is no service; there are ${SERVICE_NAMES.join(', ')}.`);
    }
    if (value !== undefined && typeof value !== 'boolean') {
      throw invalid(`services.${name}`, `is ${JSON.stringify(value)} and must be true or false.`);
    }
  }
  return new Set(SERVICE_NAMES.filter((name) => options[name] ?? true));
}

import { durationMs, type Duration } from '@nestor/core';

/**
 * How long what has happened is kept; each a duration, or `false` for ever. What is older is removed by one process at a time, in
 * small batches and, where all of it may go, by the week. From `1m`.
 */
export interface RetentionOptions {
  /**
   * Flow runs after their end, with everything within them: subflows, task runs, histories, results, log lines,
   * artifacts, inputs, and their idempotency keys. And task runs outside of flows. A run that has not ended stays, and
   * all of it. Default `90d`.
   */
  readonly runs?: Duration | false;
  /** Events, but for changes of states: those are kept as long as their runs. Default `30d`. */
  readonly events?: Duration | false;
  /**
   * Events of some names, where they are to be kept for less than `events`. A name may end with `*`; of several that fit the
   * longest counts. Default `{ 'prefect.flow-run.heartbeat': '7d' }`.
   */
  readonly eventsByType?: Readonly<Record<string, Duration>>;
  /**
   * Artifacts, where they are to be kept for less than their runs, or belong to none. What was published last under a key stays,
   * and so does what belongs to a run that has not ended. Default `false`.
   */
  readonly artifacts?: Duration | false;
  /** Log lines, where they are to be kept for less than their runs, whether these have ended or not. Default `30d`. */
  readonly logs?: Duration | false;
}

/** Events of certain names, and how long they are kept. */
export interface EventAge {
  /** A name, or what names begin with. */
  readonly name: string;
  readonly isPrefix: boolean;
  readonly ms: number;
}

/** How long everything is kept; `null`: for ever. */
export interface RetentionSettings {
  readonly runsMs: number | null;
  readonly eventsMs: number | null;
  /** The longest name first. */
  readonly eventAges: readonly EventAge[];
  readonly artifactsMs: number | null;
  readonly logsMs: number | null;
}

/** Injection token of the {@link RetentionSettings}. */
export const RETENTION_SETTINGS = Symbol('nestor.retention-settings');

/** A database that nobody looks after stays of a size; what is to be kept for longer is a decision. */
const DEFAULT_RETENTION = {
  runs: '90d',
  events: '30d',
  eventsByType: { 'prefect.flow-run.heartbeat': '7d' },
  artifacts: false,
  logs: '30d',
} as const satisfies RetentionOptions;

const LEAST_MS = 60_000;
/** A hundred years: what is to be kept for longer is kept for ever. */
const MOST_MS = 36_525 * 86_400_000;

/**
 * The options with every default filled in; `invalid` makes the error for what cannot be meant.
 *
 * @throws {InvalidDurationError} when an age is no duration.
 */
export function retentionSettings(
  options: RetentionOptions | false,
  invalid: (option: string, problem: string) => Error,
): RetentionSettings {
  if (options === false) return { runsMs: null, eventsMs: null, eventAges: [], artifactsMs: null, logsMs: null };
  const unknown = Object.keys(options).find((name) => !(name in DEFAULT_RETENTION));
  if (unknown !== undefined) {
    throw invalid(
      `retention.${unknown}`,
      `is nothing that is kept; there are ${Object.keys(DEFAULT_RETENTION).join(', ')}.`,
    );
  }
  const ageMs = (option: string, age: Duration): number => {
    const ms = durationMs(age, `option "${option}" of OrchestratorModule`);
    if (ms >= LEAST_MS && ms <= MOST_MS) return ms;
    throw invalid(option, `is ${age} and must be from 1m to 36525d, or false to keep all.`);
  };
  const kept = (name: 'runs' | 'events' | 'artifacts' | 'logs'): number | null => {
    const age = options[name] ?? DEFAULT_RETENTION[name];
    return age === false ? null : ageMs(`retention.${name}`, age);
  };
  const eventsMs = kept('events');
  const eventAges = Object.entries(options.eventsByType ?? DEFAULT_RETENTION.eventsByType).map(([pattern, age]) => {
    if (pattern.trim() === '' || pattern.slice(0, -1).includes('*')) {
      throw invalid('retention.eventsByType', `has the name ${JSON.stringify(pattern)}; a "*" may only end it.`);
    }
    const isPrefix = pattern.endsWith('*');
    const ms = ageMs(`retention.eventsByType["${pattern}"]`, age);
    return { name: isPrefix ? pattern.slice(0, -1) : pattern, isPrefix, ms: Math.min(ms, eventsMs ?? ms) };
  });
  eventAges.sort((one, other) => other.name.length - one.name.length);
  return { runsMs: kept('runs'), eventsMs, eventAges, artifactsMs: kept('artifacts'), logsMs: kept('logs') };
}

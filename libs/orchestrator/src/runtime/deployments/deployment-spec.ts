import {
  canonicalText,
  checkedSchedule,
  durationMs,
  instantOfMs,
  OrchestratorError,
  type Duration,
  type Instant,
  type Schedule,
} from '@nestor/core';
import type { StoredFairness } from '../../records/deployments/deployment.entity.js';
import { DuplicateScheduleError, InvalidDeploymentError } from './deployment-errors.js';
import { checkedFairness } from './deployment-fairness.js';
import type {
  DeploymentConcurrency,
  DeploymentOptions,
  DeploymentWorkPool,
  ParametersByName,
  ScheduleCatchUp,
  ScheduleOptions,
  ScheduleOverlap,
} from './deployment-options.js';

/** A schedule as it was asked for, checked and complete. */
export interface ScheduleSpec {
  readonly slug: string | null;
  readonly schedule: Schedule;
  /** `undefined` leaves it as it is. */
  readonly active: boolean | undefined;
  readonly parameters: ParametersByName;
  readonly maxScheduledRuns: number | null;
  readonly startsAt: Instant | null;
  readonly endsAt: Instant | null;
  readonly jitterMs: number;
  readonly overlap: ScheduleOverlap;
  readonly catchUp: ScheduleCatchUp | null;
  readonly catchUpWindowMs: number | null;
}

/** A deployment as it was asked for, checked and complete. */
export interface DeploymentSpec {
  readonly name: string;
  readonly version: string | null;
  readonly description: string | null;
  readonly tags: readonly string[];
  readonly labels: Readonly<Record<string, string | number | boolean>>;
  readonly parameters: ParametersByName;
  readonly enforceParameterSchema: boolean;
  readonly jobVariables: Readonly<Record<string, unknown>>;
  readonly workPool: DeploymentWorkPool | null;
  readonly concurrencyLimit: number | null;
  readonly concurrencyOptions: {
    readonly collision_strategy: NonNullable<DeploymentConcurrency['onCollision']>;
    readonly grace_period_seconds: number;
  } | null;
  readonly fairness: StoredFairness | null;
  /** `undefined` leaves it as it is. */
  readonly paused: boolean | undefined;
  readonly schedules: readonly ScheduleSpec[];
}

const MAX_NAME = 200;
const MAX_TAGS = 100;
const MAX_SCHEDULES = 100;
/** As in the contract. */
export const MAX_PARAMETER_BYTES = 512 * 1_024;
const MAX_AHEAD = 100;
/** What the contract's clients give a meaning of its own in names, and NUL, which no text column holds. */
const BANNED_IN_NAMES = /[/%&<>\0]/;
/** What intervals are counted from that say nothing about it: the same for every process, and for every start of one. */
const FIRST_ANCHOR = instantOfMs(0);
const OVERLAPS: readonly ScheduleOverlap[] = ['allow', 'skip', 'buffer_one', 'buffer_all', 'cancel_other'];
const CATCH_UPS: readonly ScheduleCatchUp[] = ['none', 'latest', 'all'];
const COLLISIONS: readonly string[] = ['ENQUEUE', 'CANCEL_NEW', 'CANCEL_RUNNING', 'REPLACE_PENDING'];
const GRACE_PERIOD = { least: 60, most: 86_400, usual: 300 };

/**
 * @param flowName of which it is a deployment, for messages.
 * @throws {InvalidDeploymentError} when something cannot be meant, with the cause where that has a code of its own: an unknown
 * time zone, an impossible cron expression.
 * @throws {DuplicateScheduleError} when a schedule is there twice.
 */
export function checkedDeployment(options: DeploymentOptions, flowName: string): DeploymentSpec {
  const check = new Check(`${flowName}/${String(options.name)}`);
  const { concurrency, workPool } = options;
  const given = options.schedules ?? [];
  check.is(given.length <= MAX_SCHEDULES, 'schedules', `are ${given.length}; ${MAX_SCHEDULES} are allowed.`);
  const schedules = given.map((schedule, index) => checkedScheduleSpec(schedule, index, check));
  check.isEachOnce(schedules);
  return {
    name: check.name('name', options.name),
    version: check.text('version', options.version),
    description: options.description ?? null,
    tags: check.tags(options.tags),
    labels: options.labels ?? {},
    parameters: options.parameters ?? {},
    enforceParameterSchema: options.enforceParameterSchema ?? true,
    jobVariables: options.jobVariables ?? {},
    workPool: workPool === undefined ? null : typeof workPool === 'string' ? { name: workPool } : workPool,
    ...concurrencyOf(concurrency, check),
    fairness: check.fairness(options),
    paused: options.paused,
    schedules,
  };
}

function concurrencyOf(
  concurrency: DeploymentOptions['concurrency'],
  check: Check,
): Pick<DeploymentSpec, 'concurrencyLimit' | 'concurrencyOptions'> {
  if (concurrency === undefined) return { concurrencyLimit: null, concurrencyOptions: null };
  const { limit, onCollision, gracePeriod } = typeof concurrency === 'number' ? { limit: concurrency } : concurrency;
  check.is(isCount(limit), 'concurrency', `is ${limit} and must be a whole number from 1.`);
  if (onCollision === undefined && gracePeriod === undefined)
    return { concurrencyLimit: limit, concurrencyOptions: null };
  check.isOneOf('concurrency.onCollision', onCollision ?? 'ENQUEUE', COLLISIONS);
  const seconds =
    gracePeriod === undefined ? GRACE_PERIOD.usual : check.ms('concurrency.gracePeriod', gracePeriod) / 1_000;
  const isBearable = seconds >= GRACE_PERIOD.least && seconds <= GRACE_PERIOD.most;
  check.is(isBearable, 'concurrency.gracePeriod', `is ${seconds} s and must be from 60 s to a day.`);
  const options = { collision_strategy: onCollision ?? 'ENQUEUE', grace_period_seconds: Math.round(seconds) } as const;
  return { concurrencyLimit: limit, concurrencyOptions: options };
}

function checkedScheduleSpec(options: ScheduleOptions, index: number, check: Check): ScheduleSpec {
  const place = `schedules[${options.slug ?? index}]`;
  const { maxScheduledRuns = null, overlap = 'allow', catchUp = null, catchUpWindow, jitter } = options;
  const isBearable = maxScheduledRuns === null || (isCount(maxScheduledRuns) && maxScheduledRuns <= MAX_AHEAD);
  check.is(isBearable, `${place}.maxScheduledRuns`, `is ${maxScheduledRuns} and must be from 1 to ${MAX_AHEAD}.`);
  check.isOneOf(`${place}.overlap`, overlap, OVERLAPS);
  if (catchUp !== null) check.isOneOf(`${place}.catchUp`, catchUp, CATCH_UPS);
  check.is(
    catchUpWindow === undefined || catchUp !== null,
    `${place}.catchUpWindow`,
    'says how far back to catch up, and "catchUp" does not say to do so.',
  );
  const startsAt = check.instant(`${place}.startsAt`, options.startsAt);
  const endsAt = check.instant(`${place}.endsAt`, options.endsAt);
  check.is(startsAt === null || endsAt === null || startsAt < endsAt, `${place}.endsAt`, 'is not after "startsAt".');
  return {
    slug: options.slug === undefined ? null : check.name(`${place}.slug`, options.slug),
    schedule: check.schedule(place, options),
    active: options.active,
    parameters: options.parameters ?? {},
    maxScheduledRuns,
    startsAt,
    endsAt,
    jitterMs: jitter === undefined ? 0 : check.ms(`${place}.jitter`, jitter),
    overlap,
    catchUp,
    catchUpWindowMs: catchUpWindow === undefined ? null : check.ms(`${place}.catchUpWindow`, catchUpWindow),
  };
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1;
}

/** Checks the fields of one deployment. */
class Check {
  constructor(private readonly deployment: string) {}

  is(holds: boolean, field: string, problem: string): void {
    if (!holds) throw new InvalidDeploymentError(this.deployment, field, problem);
  }

  isOneOf(field: string, value: string, allowed: readonly string[]): void {
    this.is(allowed.includes(value), field, `is ${JSON.stringify(value)} and must be one of ${allowed.join(', ')}.`);
  }

  name(field: string, name: string): string {
    const isFine = typeof name === 'string' && name.trim() !== '' && name.length <= MAX_NAME;
    this.is(isFine, field, `must have 1 to ${MAX_NAME} characters.`);
    this.is(!BANNED_IN_NAMES.test(name), field, `is ${JSON.stringify(name)} and must not contain / % & < > or NUL.`);
    return name;
  }

  text(field: string, text: string | undefined): string | null {
    if (text === undefined) return null;
    const isFine = typeof text === 'string' && text !== '' && text.length <= MAX_NAME && !text.includes('\0');
    this.is(isFine, field, `must have 1 to ${MAX_NAME} characters and no NUL among them.`);
    return text;
  }

  tags(tags: readonly string[] = []): readonly string[] {
    this.is(tags.length <= MAX_TAGS, 'tags', `are ${tags.length}; ${MAX_TAGS} are allowed.`);
    return [...new Set(tags.map((tag) => this.text('tags', tag) ?? ''))];
  }

  ms(field: string, duration: Duration): number {
    return this.mend(field, () => durationMs(duration, field));
  }

  fairness(options: DeploymentOptions): StoredFairness | null {
    return this.mend('fairness', () => checkedFairness(options, this.deployment));
  }

  instant(field: string, time: Date | string | Instant | undefined): Instant | null {
    if (time === undefined) return null;
    if (typeof time === 'number') return time;
    const ms = new Date(time).getTime();
    this.is(!Number.isNaN(ms), field, `is ${String(time)}, which is no time.`);
    return instantOfMs(ms);
  }

  isEachOnce(schedules: readonly ScheduleSpec[]): void {
    const known = new Set<string>();
    for (const spec of schedules) {
      const said = spec.slug === null ? JSON.stringify(spec.schedule) : `"${spec.slug}"`;
      const whole = spec.slug === null ? (canonicalText(spec) ?? said) : said;
      if (known.has(whole)) throw new DuplicateScheduleError(this.deployment, said);
      known.add(whole);
    }
  }

  schedule(field: string, options: ScheduleOptions): Schedule {
    return this.mend(field, () => checkedSchedule(scheduleInput(options), FIRST_ANCHOR));
  }

  private mend<T>(field: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof OrchestratorError) || error instanceof InvalidDeploymentError) throw error;
      throw new InvalidDeploymentError(this.deployment, field, `is refused. ${error.message}`, { cause: error });
    }
  }
}

const TIMES = ['cron', 'interval', 'rrule', 'timezone', 'dayOr', 'anchor'] as const;

/** What of the options says when. */
function scheduleInput(options: ScheduleOptions): Readonly<Record<string, unknown>> {
  const given = options as unknown as Record<string, unknown>;
  const entries = TIMES.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]));
  return Object.fromEntries(entries) as Record<string, unknown>;
}

import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { durationMs, type ClassCodec, type Duration, type ErrorClass } from '@nestor/core';
import { InvalidOptionError, resolvedName } from './authoring/resolve-options.js';
import type { BackgroundSettings, BackgroundTaskOptions } from './runtime/background/background-settings.js';
import type { PayloadOptions } from './runtime/payloads/payload-options.js';
import { isIsolated } from './runtime/workers/isolation/isolated.js';
import { NEST_TYPE } from './runtime/workers/worker-types.service.js';
import {
  retentionSettings,
  type RetentionOptions,
  type RetentionSettings,
} from './runtime/retention/retention-settings.js';
import { AesKeyRing } from './runtime/secrets/aes-key-ring.js';
import { secretKeysOf, type SecretKeyOption } from './runtime/secrets/secret-key-option.js';
import {
  NEST_PROCESS_TYPE,
  NEST_THREAD_TYPE,
  type ServedPool,
  type WorkerOptions,
  type WorkerPoolOptions,
  type WorkerSettings,
} from './runtime/workers/worker-settings.js';
import { serviceSettings, type ServiceOptions, type ServiceSettings } from './runtime/services/service-settings.js';
import type { SecretKeySettings } from './runtime/secrets/secret-keys.service.js';

/** Your own server. */
export interface ServerDatabaseOptions {
  /** `postgres://user:password@host:5432/database`, PostgreSQL 14 or newer. The role must be able to create the schema. */
  readonly url: string;
  /**
   * The same database, reached past a pooler that lends sessions out per transaction (PgBouncer with `pool_mode =
   * transaction`): for the one session per process that holds its lock, sends its heartbeats and hears notifications. Without
   * it such a process is taken for dead after 10 instead of 3 seconds and learns of news by looking. Default: `url`.
   */
  readonly directUrl?: string;
  /** The most connections this process holds, one more for its lease aside; a whole number from 1. Default 10. */
  readonly poolSize?: number;
}

/** The embedded server: PostgreSQL 18 from the package's optional dependencies, started when it does not run already. */
export interface EmbeddedDatabaseOptions {
  /** Directory for the data, shared by all processes that name it. Default `.nestor` in the working directory. */
  readonly home?: string;
  /** The most connections this process holds, one more for its lease aside; a whole number from 1. Default 10. */
  readonly poolSize?: number;
}

/** Options of `OrchestratorModule.forRoot()`. Everything has a default. */
export interface OrchestratorOptions {
  /** Where state is kept. Default: the embedded server. */
  readonly database?: ServerDatabaseOptions | EmbeddedDatabaseOptions;
  /** The PostgreSQL schema for our tables, apart from yours; created when absent. Default `nestor`. */
  readonly schema?: string;
  /** The application these processes belong to; several applications may share a schema. Default `default`. */
  readonly app?: string;
  /**
   * Names the code that runs, such as a git commit; kept with every run. Default: a fingerprint of the decorated methods.
   */
  readonly buildId?: string;
  /** How long a shutdown waits for runs to end by themselves before it cuts them off. Default `25s`. */
  readonly drain?: Duration;
  /**
   * How long the methods of a run that is cancelled may take to settle after their signals have fired; then the run ends
   * without them. Default `10s`.
   */
  readonly cancelGrace?: Duration;
  /**
   * How long a run that is to be cancelled may go without anybody carrying that out: then it is `CANCELLED` all the same,
   * and what was started for it is ended. From `1s`; default `5m`.
   */
  readonly cancellationTimeout?: Duration;
  /**
   * Whether deployments of no work pool pause when the last process that serves them shuts down, and go on when one
   * is there again: so that no runs pile up meanwhile. Not when it dies. Default `false`: what is due meanwhile is
   * late, or is caught up with.
   */
  readonly pauseOnShutdown?: boolean;
  /**
   * How long the event loop of a process may stand still before other processes take its runs over. Default `60s`. A busy
   * loop is reported in the log after five seconds.
   */
  readonly maxStall?: Duration;
  /**
   * How often a run is taken over from a process that died before it ends as `CRASHED`; a whole number from 0. Default 10. A
   * run keeps what it was created with.
   */
  readonly maxRecoveries?: number;
  /**
   * How often a flow run that is running says so in an event, `prefect.flow-run.heartbeat`: from `1s` to `24h`. It is for
   * automations and for those who watch; runs of dead processes are found without it. Default `3m`.
   */
  readonly runHeartbeat?: Duration;
  /** Classes whose instances come back as instances when they were recorded; see {@link classCodec}. Default: none. */
  readonly codecs?: readonly ClassCodec[];
  /**
   * Classes whose errors come back as such when they were recorded, so that `instanceof` works. They are told apart by the
   * name of the class, and made without calling its constructor; one that has private fields needs a codec. Nest's own HTTP
   * exceptions need not be listed. Default: none beside them.
   */
  readonly errors?: readonly ErrorClass[];
  /**
   * Which background tasks this process executes, and how many at a time; `false`: none, and it only delays them. Default: all
   * of the application, 10 at a time.
   */
  readonly backgroundTasks?: BackgroundTaskOptions | false;
  /**
   * Which waiting runs this process executes, and how many at a time; `false`: none, and it executes only what it calls or starts
   * itself. Default: those of no queue.
   */
  readonly worker?: WorkerOptions | false;
  /**
   * How long the infrastructure of a run may take to begin it, once a worker of a class of your own has submitted it; then
   * it counts as taken over from a process that died. From `1s`; default `10m`.
   */
  readonly pendingTimeout?: Duration;
  /**
   * What this process does for all processes of its application besides executing runs; `false`: nothing, which other
   * processes then have to do. Default: everything, in every process.
   */
  readonly services?: ServiceOptions | false;
  /** How long what has happened is kept; `false`: for ever. Default: runs for `90d`, events and log lines for `30d`. */
  readonly retention?: RetentionOptions | false;
  /** How parameters, results and errors are kept. */
  readonly payloads?: PayloadOptions;
  /** Whether results are kept where neither task nor flow says so (`persistResult`). Default `true`. */
  readonly persistResults?: boolean;
  /** What holds for outcomes that tasks remember across runs. */
  readonly cache?: CacheOptions;
  /**
   * What secret fields of blocks are encrypted with: one key or several, of which the first encrypts and all decrypt; each 32
   * random bytes, the same in every process. Default: with the embedded database a key in the file `secret.key` of its
   * directory, made when the first secret is kept; with your own server none, and keeping a secret fails.
   */
  readonly secretKey?: SecretKeyOption;
}

/** What holds for the outcomes that all tasks of the application remember across runs. */
export interface CacheOptions {
  /** Tasks run although their outcome is remembered, and remember the new one, unless they say otherwise. Default `false`. */
  readonly refresh?: boolean;
  /** Nothing is remembered, nor looked for, whatever tasks say. Default `false`. */
  readonly disabled?: boolean;
}

/** Options that must be known before the others can be computed. */
export interface OrchestratorExtras {
  /** The name of our data source in `@nestjs/typeorm`; give another where one of yours has it. Default `nestor`. */
  readonly name?: string;
}

/** The options with every default filled in. */
interface ResolvedOptions {
  readonly database:
    | { readonly url: string; readonly directUrl?: string; readonly poolSize: number }
    | { readonly home: string; readonly poolSize: number };
  readonly schema: string;
  readonly app: string;
  readonly buildId: string | null;
  readonly drainMs: number;
  readonly cancelGraceMs: number;
  readonly cancellationTimeoutMs: number;
  readonly pausesOnShutdown: boolean;
  readonly maxStallMs: number;
  readonly maxRecoveries: number;
  readonly persistResults: boolean;
  readonly cache: { readonly refresh: boolean; readonly isDisabled: boolean };
  readonly runHeartbeatMs: number;
  readonly pendingTimeoutMs: number;
  readonly backgroundTasks: BackgroundSettings | null;
  readonly worker: WorkerSettings | null;
  readonly services: ServiceSettings;
  readonly retention: RetentionSettings;
}

export const DEFAULT_OPTIONS = {
  home: '.nestor',
  poolSize: 10,
  schema: 'nestor',
  app: 'default',
  drain: '25s',
  cancelGrace: '10s',
  cancellationTimeout: '5m',
  maxStall: '60s',
  maxRecoveries: 10,
  runHeartbeat: '3m',
  pendingTimeout: '10m',
  concurrency: 10,
  workerLimit: 200,
  prefetch: 0,
  killGrace: '30s',
  isolatedLimit: 5,
} as const;

/** The types whose runs do not share a process, or a thread: each costs as much as the application does. */
const ISOLATED_TYPES: readonly string[] = [NEST_PROCESS_TYPE, NEST_THREAD_TYPE];

/** What is taken before its time can be executed by nobody else. */
const MAX_PREFETCH_MS = 300_000;

/** Of a heartbeat: more often than once a second serves nobody, and timers are not made for more than some weeks. */
const HEARTBEAT_MS = { least: 1_000, most: 24 * 60 * 60 * 1_000 };

/**
 * Where an application was started for one run alone, it looks after no other, and what is left of
 * that is handed back at once.
 */
const FOR_ONE_RUN = { worker: false, backgroundTasks: false, services: false, drain: 0 } as const;

/**
 * @throws {InvalidDurationError} when `drain`, `cancelGrace`, `maxStall`, `runHeartbeat` or an age of `retention` is no duration.
 * @throws {InvalidOptionError} when another option, or an age, cannot be meant.
 */
export function resolveOptions(given: OrchestratorOptions): ResolvedOptions {
  const options = isIsolated() ? { ...given, ...FOR_ONE_RUN } : given;
  const database = options.database ?? {};
  const poolSize = wholeNumber(database.poolSize ?? DEFAULT_OPTIONS.poolSize, 'database.poolSize', 1);
  return {
    database:
      'url' in database
        ? { url: database.url, ...(database.directUrl !== undefined && { directUrl: database.directUrl }), poolSize }
        : { home: database.home ?? DEFAULT_OPTIONS.home, poolSize },
    schema: options.schema ?? DEFAULT_OPTIONS.schema,
    app: options.app ?? DEFAULT_OPTIONS.app,
    buildId: options.buildId ?? null,
    drainMs: durationMs(options.drain ?? DEFAULT_OPTIONS.drain, 'option "drain" of OrchestratorModule'),
    cancelGraceMs: durationMs(
      options.cancelGrace ?? DEFAULT_OPTIONS.cancelGrace,
      'option "cancelGrace" of OrchestratorModule',
    ),
    cancellationTimeoutMs: atLeastASecond(
      options.cancellationTimeout ?? DEFAULT_OPTIONS.cancellationTimeout,
      'cancellationTimeout',
    ),
    pausesOnShutdown: options.pauseOnShutdown ?? false,
    maxStallMs: durationMs(options.maxStall ?? DEFAULT_OPTIONS.maxStall, 'option "maxStall" of OrchestratorModule'),
    maxRecoveries: wholeNumber(options.maxRecoveries ?? DEFAULT_OPTIONS.maxRecoveries, 'maxRecoveries', 0),
    backgroundTasks: backgroundSettings(options.backgroundTasks ?? {}),
    worker: workerSettings(options.worker ?? {}),
    services: serviceSettings(options.services ?? {}, invalidOption),
    retention: retentionSettings(options.retention ?? {}, invalidOption),
    persistResults: options.persistResults ?? true,
    cache: { refresh: options.cache?.refresh ?? false, isDisabled: options.cache?.disabled ?? false },
    pendingTimeoutMs: atLeastASecond(options.pendingTimeout ?? DEFAULT_OPTIONS.pendingTimeout, 'pendingTimeout'),
    runHeartbeatMs: heartbeatMs(options.runHeartbeat ?? DEFAULT_OPTIONS.runHeartbeat),
  };
}

/**
 * Where the keys of secrets come from.
 *
 * @throws {InvalidOptionError} when `secretKey` holds something that is no key.
 */
export function secretKeySettings(options: OrchestratorOptions): SecretKeySettings {
  const { database } = resolveOptions(options);
  const keys = secretKeysOf(options.secretKey);
  const invalid = (problem: string): Error => new InvalidOptionError('OrchestratorModule', 'secretKey', `${problem}.`);
  if (options.secretKey !== undefined) new AesKeyRing(keys, invalid);
  return { keys, file: 'home' in database ? join(database.home, 'secret.key') : null };
}

function invalidOption(option: string, problem: string): InvalidOptionError {
  return new InvalidOptionError('OrchestratorModule', option, problem);
}

function heartbeatMs(duration: Duration): number {
  const ms = durationMs(duration, 'option "runHeartbeat" of OrchestratorModule');
  if (ms >= HEARTBEAT_MS.least && ms <= HEARTBEAT_MS.most) return ms;
  throw new InvalidOptionError('OrchestratorModule', 'runHeartbeat', `is ${duration} and must be from 1s to 24h.`);
}

function atLeastASecond(duration: Duration, option: string): number {
  const ms = durationMs(duration, `option "${option}" of OrchestratorModule`);
  if (ms >= 1_000) return ms;
  throw new InvalidOptionError('OrchestratorModule', option, `is ${duration} and must be at least 1s.`);
}

function backgroundSettings(options: BackgroundTaskOptions | false): BackgroundSettings | null {
  if (options === false) return null;
  const { concurrency = DEFAULT_OPTIONS.concurrency, tasks = null } = options;
  return { concurrency: wholeNumber(concurrency, 'backgroundTasks.concurrency', 1), tasks };
}

function workerSettings(options: WorkerOptions | false): WorkerSettings | null {
  if (options === false) return null;
  const limit = wholeNumber(options.limit ?? DEFAULT_OPTIONS.workerLimit, 'worker.limit', 1);
  const pools = (options.pools ?? []).map((pool) =>
    servedPool(typeof pool === 'string' ? { name: pool } : pool, limit),
  );
  const twice = pools.find(({ name }, index) => pools.findIndex((other) => other.name === name) < index);
  if (twice) throw new InvalidOptionError('OrchestratorModule', 'worker.pools', `names "${twice.name}" twice.`);
  const prefetchMs = durationMs(
    options.prefetch ?? DEFAULT_OPTIONS.prefetch,
    'option "worker.prefetch" of OrchestratorModule',
  );
  if (prefetchMs > MAX_PREFETCH_MS) {
    throw new InvalidOptionError(
      'OrchestratorModule',
      'worker.prefetch',
      `is ${options.prefetch} and must be at most 5m.`,
    );
  }
  const killGraceMs = durationMs(
    options.killGrace ?? DEFAULT_OPTIONS.killGrace,
    'option "worker.killGrace" of OrchestratorModule',
  );
  const application = applicationFile(options.application);
  const homeless = pools.find(({ type }) => ISOLATED_TYPES.includes(type));
  if (homeless && application === null) {
    const problem = `is not given, so that there is nothing to start for runs of "${homeless.name}", which is served by ${homeless.type}.`;
    throw new InvalidOptionError('OrchestratorModule', 'worker.application', problem);
  }
  const { unqueued = true, runOnce = false } = options;
  return { pools, unqueued, limit, prefetchMs, runOnce, application, killGraceMs };
}

function applicationFile(file: string | URL | undefined): string | null {
  if (file === undefined) return null;
  const isUrl = file instanceof URL || file.startsWith('file:');
  return isUrl ? fileURLToPath(file) : resolve(file);
}

function servedPool({ name, type, queues, limit, workerName }: WorkerPoolOptions, most: number): ServedPool {
  const place = 'OrchestratorModule';
  for (const one of [name, ...(queues ?? [])]) resolvedName(one, '', `option "worker.pools" of ${place}`);
  if (queues?.length === 0) {
    throw new InvalidOptionError(place, 'worker.pools', `names no queue of "${name}"; leave "queues" out for all.`);
  }
  const isIsolatedType = type !== undefined && ISOLATED_TYPES.includes(type);
  return {
    name,
    type: type ?? NEST_TYPE,
    queueNames: queues ?? null,
    limit: wholeNumber(
      limit ?? (isIsolatedType ? Math.min(DEFAULT_OPTIONS.isolatedLimit, most) : most),
      `worker.pools.limit`,
      1,
    ),
    workerName: workerName ?? null,
  };
}

function wholeNumber(value: number, option: string, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new InvalidOptionError(
    'OrchestratorModule',
    option,
    `is ${String(value)} and must be a whole number from ${least}.`,
  );
}

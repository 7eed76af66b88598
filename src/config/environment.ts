import 'reflect-metadata';
import { plainToInstance, Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Matches, Max, Min, MinLength, validateSync } from 'class-validator';
import { durationMs, InvalidDurationError, OrchestratorError, type Duration } from '@nestor/core';
import type { RetentionOptions, ServiceOptions } from '@nestor/orchestrator';
import { RETENTION_DEFAULTS, retentionOf, servicesOf } from './retention-variables.js';
import { servedPools, workPoolProblems, type ServedWorkPool } from './work-pools.js';

const PORT_RANGE = { message: 'NESTOR_PORT must be a whole number from 0 to 65535' };
const MAX_RECOVERIES_RANGE = { message: 'NESTOR_MAX_RECOVERIES must be a whole number from 0 to 1000' };
const TASK_CONCURRENCY_RANGE = { message: 'NESTOR_TASK_CONCURRENCY must be a whole number from 0 to 1000' };
const WORKER_LIMIT_RANGE = { message: 'NESTOR_WORKER_LIMIT must be a whole number from 0 to 10000' };
const UNQUEUED_WORDS = { message: 'NESTOR_UNQUEUED must be true or false' };
const RUN_ONCE_WORDS = { message: 'NESTOR_RUN_ONCE must be true or false' };
const PAUSE_ON_SHUTDOWN_WORDS = { message: 'NESTOR_PAUSE_ON_SHUTDOWN must be true or false' };
const POOL_SIZE_RANGE = { message: 'NESTOR_POOL_SIZE must be a whole number from 1 to 1000' };
/** 32 bytes in hexadecimal or base64, with an id and a colon before them or without. */
const SECRET_KEY = /^(?:[\w.:-]{1,100}:)?(?:[0-9a-f]{64}|[\w+/-]{43}=?)$/i;
/** Timers end at 24.8 days; nobody waits for a shutdown, or for a run that is to end, anywhere near as long. */
const LONGEST = '24h';

/** Every variable the bundled orchestrator reads, with its default. */
class Environment {
  /** Your own PostgreSQL (14 or newer); without it an embedded server is started. */
  @IsOptional()
  @IsString()
  DATABASE_URL?: string;

  /** The same database, reached past a pooler: for the session that holds the lease of this process. */
  @IsOptional()
  @IsString()
  NESTOR_DIRECT_URL?: string;

  /** Where the embedded server and reports keep their files. */
  @IsString()
  @MinLength(1)
  NESTOR_HOME: string = '.nestor';

  /** The address to listen on. */
  @IsString()
  @MinLength(1)
  NESTOR_HOST: string = '127.0.0.1';

  /** The port to listen on; 0 takes any free one. */
  @Type(() => Number)
  @IsInt(PORT_RANGE)
  @Min(0, PORT_RANGE)
  @Max(65_535, PORT_RANGE)
  NESTOR_PORT: number = 4200;

  /** `user:password` that the API asks for; needed to listen beyond the loopback address. */
  @IsOptional()
  @Matches(/^[^:\s]+:.{8,}$/s, { message: 'NESTOR_AUTH must be user:password, the password of 8 characters or more' })
  NESTOR_AUTH?: string;

  /** The PostgreSQL schema for our tables. */
  @IsString()
  NESTOR_SCHEMA: string = 'nestor';

  /** The application this process belongs to. */
  @IsString()
  @MinLength(1)
  NESTOR_APP: string = 'default';

  /** The most database connections of this process. */
  @Type(() => Number)
  @IsInt(POOL_SIZE_RANGE)
  @Min(1, POOL_SIZE_RANGE)
  @Max(1_000, POOL_SIZE_RANGE)
  NESTOR_POOL_SIZE: number = 10;

  /** How long a shutdown waits for runs, such as `25s`; at most a day. */
  @IsString()
  NESTOR_DRAIN: string = '25s';

  /** How long the methods of a cancelled run may take to settle; at most a day. */
  @IsString()
  NESTOR_CANCEL_GRACE: string = '10s';

  /** How long a run may be `CANCELLING` with nobody carrying that out, from a second to a day. */
  @IsString()
  NESTOR_CANCELLATION_TIMEOUT: string = '5m';

  /** Whether deployments of no work pool pause when the last process that serves them shuts down. */
  @Matches(/^(true|false)$/, PAUSE_ON_SHUTDOWN_WORDS)
  NESTOR_PAUSE_ON_SHUTDOWN: string = 'false';

  /** How long the event loop may stand still before other processes take the runs over; at most a day. */
  @IsString()
  NESTOR_MAX_STALL: string = '60s';

  /** How often a run is taken over from a dead process before it is given up. */
  @Type(() => Number)
  @IsInt(MAX_RECOVERIES_RANGE)
  @Min(0, MAX_RECOVERIES_RANGE)
  @Max(1_000, MAX_RECOVERIES_RANGE)
  NESTOR_MAX_RECOVERIES: number = 10;

  /** What secret fields of blocks are encrypted with: keys with commas between, of which the first encrypts and all decrypt. */
  @IsOptional()
  @IsString()
  NESTOR_SECRET_KEY?: string;

  /** How many background tasks this process executes at a time; 0 for none. */
  @Type(() => Number)
  @IsInt(TASK_CONCURRENCY_RANGE)
  @Min(0, TASK_CONCURRENCY_RANGE)
  @Max(1_000, TASK_CONCURRENCY_RANGE)
  NESTOR_TASK_CONCURRENCY: number = 10;

  /** The work pools that this process serves, and makes where they are not there: `etl,heavy:nest-process:4`. */
  @IsOptional()
  @IsString()
  NESTOR_WORK_POOLS?: string;

  /** Whether this process executes waiting runs of no work pool. */
  @Matches(/^(true|false)$/, UNQUEUED_WORDS)
  NESTOR_UNQUEUED: string = 'true';

  /** How many waiting runs this process executes at a time; 0 for none. */
  @Type(() => Number)
  @IsInt(WORKER_LIMIT_RANGE)
  @Min(0, WORKER_LIMIT_RANGE)
  @Max(10_000, WORKER_LIMIT_RANGE)
  NESTOR_WORKER_LIMIT: number = 200;

  /** Whether this process looks for waiting runs once, and ends when those that it took have ended. */
  @Matches(/^(true|false)$/, RUN_ONCE_WORDS)
  NESTOR_RUN_ONCE: string = 'false';

  /** How long what was started for a run may take to end by itself before it is ended by force; at most a day. */
  @IsString()
  NESTOR_KILL_GRACE: string = '30s';

  /** How often a flow run that is running says so in an event, from a second to a day. */
  @IsString()
  NESTOR_RUN_HEARTBEAT: string = '3m';

  /** What this process does for all processes of the application: `all`, `none`, or some by name with commas between. */
  @IsString()
  NESTOR_SERVICES: string = 'all';

  /** How long runs are kept after their end, such as `90d`; `off` for ever. */
  @IsString()
  NESTOR_RETENTION_RUNS: string = RETENTION_DEFAULTS.NESTOR_RETENTION_RUNS;

  /** How long events are kept; `off` for ever. */
  @IsString()
  NESTOR_RETENTION_EVENTS: string = RETENTION_DEFAULTS.NESTOR_RETENTION_EVENTS;

  /** How long events of some names are kept, where that is less: `name=7d`, with commas between; a name may end with `*`. */
  @IsString()
  NESTOR_RETENTION_EVENTS_BY_TYPE: string = RETENTION_DEFAULTS.NESTOR_RETENTION_EVENTS_BY_TYPE;

  /** How long artifacts are kept, where that is less than their runs; `off` as long as those. */
  @IsString()
  NESTOR_RETENTION_ARTIFACTS: string = RETENTION_DEFAULTS.NESTOR_RETENTION_ARTIFACTS;

  /** How long log lines are kept, where that is less than their runs; `off` as long as those. */
  @IsString()
  NESTOR_RETENTION_LOGS: string = RETENTION_DEFAULTS.NESTOR_RETENTION_LOGS;

  /** Names the code that runs, such as a git commit; kept with every run. */
  @IsOptional()
  @IsString()
  NESTOR_BUILD_ID?: string;
}

/** What the bundled orchestrator is set to. */
export interface Settings {
  readonly database:
    | { readonly url: string; readonly directUrl?: string; readonly poolSize: number }
    | { readonly home: string; readonly poolSize: number };
  readonly home: string;
  readonly host: string;
  readonly port: number;
  readonly auth: string | null;
  readonly schema: string;
  readonly app: string;
  readonly drainMs: number;
  readonly cancelGraceMs: number;
  readonly cancellationTimeoutMs: number;
  readonly pausesOnShutdown: boolean;
  readonly maxStallMs: number;
  readonly maxRecoveries: number;
  readonly secretKey: string | null;
  readonly runHeartbeatMs: number;
  readonly taskConcurrency: number;
  readonly workPools: readonly ServedWorkPool[];
  readonly unqueued: boolean;
  readonly workerLimit: number;
  readonly runsOnce: boolean;
  readonly killGraceMs: number;
  readonly services: ServiceOptions | false;
  readonly retention: RetentionOptions;
  readonly buildId: string | null;
}

/** An environment variable has a value that cannot be used. */
export class InvalidEnvironmentError extends OrchestratorError {
  readonly code = 'ENVIRONMENT_INVALID';

  constructor(readonly problems: readonly string[]) {
    super(`The environment is not usable: ${problems.join('; ')}.`);
  }
}

type DurationVariable =
  `NESTOR_${'DRAIN' | 'CANCEL_GRACE' | 'CANCELLATION_TIMEOUT' | 'MAX_STALL' | 'RUN_HEARTBEAT' | 'KILL_GRACE'}`;

/** The variables without a default. */
const OPTIONAL = [
  ...['DATABASE_URL', 'NESTOR_DIRECT_URL', 'NESTOR_AUTH'],
  ...['NESTOR_SECRET_KEY', 'NESTOR_WORK_POOLS', 'NESTOR_BUILD_ID'],
];
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/**
 * Reads the settings of the bundled orchestrator. A variable that is blank counts as not set.
 *
 * @throws {InvalidEnvironmentError} naming every variable that is wrong and what is wrong with it.
 */
export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): Settings {
  const given = Object.entries(variables).filter(([, value]) => value !== undefined && value.trim() !== '');
  const known = Object.keys(new Environment()).concat(OPTIONAL);
  const environment = plainToInstance(Environment, Object.fromEntries(given.filter(([name]) => known.includes(name))), {
    exposeDefaultValues: true,
  });
  const problems = validateSync(environment).flatMap((error) => [...new Set(Object.values(error.constraints ?? {}))]);
  const durationOf = (name: DurationVariable, least: Duration = 0): number => {
    const ms = durationMsOf(environment[name], name);
    if (ms === null) problems.push(`${name} must be a duration such as ${new Environment()[name]}, at most ${LONGEST}`);
    else if (ms < durationMs(least, 'shortest duration')) problems.push(`${name} must be at least ${least}`);
    return ms ?? 0;
  };
  const drainMs = durationOf('NESTOR_DRAIN');
  const cancelGraceMs = durationOf('NESTOR_CANCEL_GRACE');
  const cancellationTimeoutMs = durationOf('NESTOR_CANCELLATION_TIMEOUT', '1s');
  const maxStallMs = durationOf('NESTOR_MAX_STALL');
  const runHeartbeatMs = durationOf('NESTOR_RUN_HEARTBEAT', '1s');
  const killGraceMs = durationOf('NESTOR_KILL_GRACE');
  const { DATABASE_URL: url, NESTOR_DIRECT_URL: directUrl } = environment;
  if (directUrl !== undefined && url === undefined) {
    problems.push('NESTOR_DIRECT_URL leads past the pooler of DATABASE_URL, which is not set');
  }
  problems.push(...workPoolProblems(environment.NESTOR_WORK_POOLS));
  if (environment.NESTOR_RUN_ONCE === 'true' && environment.NESTOR_WORKER_LIMIT === 0) {
    problems.push('NESTOR_RUN_ONCE looks for runs, of which NESTOR_WORKER_LIMIT allows none');
  }
  const keys = environment.NESTOR_SECRET_KEY?.split(',') ?? [];
  if (!keys.every((key) => SECRET_KEY.test(key.trim()))) {
    problems.push(
      'NESTOR_SECRET_KEY must be 32 random bytes in base64 (openssl rand -base64 32), or several such keys with commas between',
    );
  }
  if (!LOOPBACK.test(environment.NESTOR_HOST) && environment.NESTOR_AUTH === undefined) {
    problems.push(
      `NESTOR_HOST is "${environment.NESTOR_HOST}", which others can reach; set NESTOR_AUTH=user:password as well, or keep 127.0.0.1`,
    );
  }
  const services = servicesOf(environment.NESTOR_SERVICES, problems);
  const retention = retentionOf(environment, problems);
  if (problems.length > 0) throw new InvalidEnvironmentError(problems);

  const poolSize = environment.NESTOR_POOL_SIZE;
  return {
    database:
      url === undefined
        ? { home: environment.NESTOR_HOME, poolSize }
        : { url, ...(directUrl !== undefined && { directUrl }), poolSize },
    home: environment.NESTOR_HOME,
    host: environment.NESTOR_HOST,
    port: environment.NESTOR_PORT,
    auth: environment.NESTOR_AUTH ?? null,
    schema: environment.NESTOR_SCHEMA,
    app: environment.NESTOR_APP,
    drainMs,
    cancelGraceMs,
    cancellationTimeoutMs,
    pausesOnShutdown: environment.NESTOR_PAUSE_ON_SHUTDOWN === 'true',
    maxStallMs,
    maxRecoveries: environment.NESTOR_MAX_RECOVERIES,
    secretKey: environment.NESTOR_SECRET_KEY ?? null,
    runHeartbeatMs,
    taskConcurrency: environment.NESTOR_TASK_CONCURRENCY,
    workPools: servedPools(environment.NESTOR_WORK_POOLS),
    unqueued: environment.NESTOR_UNQUEUED === 'true',
    workerLimit: environment.NESTOR_WORKER_LIMIT,
    runsOnce: environment.NESTOR_RUN_ONCE === 'true',
    killGraceMs,
    services,
    retention,
    buildId: environment.NESTOR_BUILD_ID ?? null,
  };
}

function durationMsOf(text: string, name: string): number | null {
  try {
    const ms = durationMs(text as Duration, `variable ${name}`);
    return ms <= durationMs(LONGEST, 'longest duration') ? ms : null;
  } catch (error) {
    if (error instanceof InvalidDurationError) return null;
    throw error;
  }
}

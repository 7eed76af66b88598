import 'reflect-metadata';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Matches, Max, Min, MinLength } from 'class-validator';
import { PAYLOAD_DEFAULTS, PAYLOAD_LIMIT_BYTES } from './payload-variables.js';
import { RETENTION_DEFAULTS } from './retention-variables.js';

/** A variable that is a number, in a range that its name and this say in one sentence. */
function WholeNumber(least: number, most: number): PropertyDecorator {
  return (target, name) => {
    const range = { message: `${String(name)} must be a whole number from ${least} to ${most}` };
    for (const decorate of [Type(() => Number), IsInt(range), Min(least, range), Max(most, range)])
      decorate(target, name);
  };
}

/** A variable that is a switch. */
function TrueOrFalse(): PropertyDecorator {
  return (target, name) =>
    Matches(/^(true|false)$/, { message: `${String(name)} must be true or false` })(target, name);
}

/** Every variable the bundled orchestrator reads, with its default. */
export class Environment {
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
  @WholeNumber(0, 65_535)
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
  @WholeNumber(1, 1_000)
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
  @TrueOrFalse()
  NESTOR_PAUSE_ON_SHUTDOWN: string = 'false';

  /** How long the event loop may stand still before other processes take the runs over; at most a day. */
  @IsString()
  NESTOR_MAX_STALL: string = '60s';

  /** How often a run is taken over from a dead process before it is given up. */
  @WholeNumber(0, 1_000)
  NESTOR_MAX_RECOVERIES: number = 10;

  /** What secret fields of blocks are encrypted with: keys with commas between, of which the first encrypts and all decrypt. */
  @IsOptional()
  @IsString()
  NESTOR_SECRET_KEY?: string;

  /** How many background tasks this process executes at a time; 0 for none. */
  @WholeNumber(0, 1_000)
  NESTOR_TASK_CONCURRENCY: number = 10;

  /** Only the background tasks with these keys, with commas between. */
  @IsOptional()
  @IsString()
  NESTOR_TASKS?: string;

  /** The work pools that this process serves, and makes where they are not there: `etl,heavy/nightly:nest-process:4`. */
  @IsOptional()
  @IsString()
  NESTOR_WORK_POOLS?: string;

  /** Whether this process executes waiting runs of no work pool. */
  @TrueOrFalse()
  NESTOR_UNQUEUED: string = 'true';

  /** How many waiting runs this process executes at a time; 0 for none. */
  @WholeNumber(0, 10_000)
  NESTOR_WORKER_LIMIT: number = 200;

  /** Whether this process looks for waiting runs once, and ends when those that it took have ended. */
  @TrueOrFalse()
  NESTOR_RUN_ONCE: string = 'false';

  /** How long before its time this process takes a run of a work pool; at most `5m`. */
  @IsString()
  NESTOR_PREFETCH: string = '0s';

  /** How long what was started for a run of a work pool may take to begin it, from a second to a day. */
  @IsString()
  NESTOR_PENDING_TIMEOUT: string = '10m';

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

  /** Whether results are kept where neither task nor flow says so. */
  @TrueOrFalse()
  NESTOR_PERSIST_RESULTS: string = 'true';

  /** Parameters, results and errors of more bytes go to the store. */
  @WholeNumber(0, PAYLOAD_LIMIT_BYTES)
  NESTOR_PAYLOAD_INLINE_LIMIT: number = PAYLOAD_DEFAULTS.NESTOR_PAYLOAD_INLINE_LIMIT;

  /** More bytes are refused. */
  @WholeNumber(1, PAYLOAD_LIMIT_BYTES)
  NESTOR_PAYLOAD_MAX_BYTES: number = PAYLOAD_DEFAULTS.NESTOR_PAYLOAD_MAX_BYTES;

  /** Where large ones are kept as files; without it in a table of the schema. */
  @IsOptional()
  @IsString()
  NESTOR_PAYLOAD_DIRECTORY?: string;

  /** Whether they are compressed. */
  @TrueOrFalse()
  NESTOR_PAYLOAD_GZIP: string = 'false';

  /** What they are encrypted with: keys with commas between, of which the first encrypts and all decrypt. */
  @IsOptional()
  @IsString()
  NESTOR_PAYLOAD_KEY?: string;

  /** Whether tasks run although their outcome is remembered, and remember the new one. */
  @TrueOrFalse()
  NESTOR_CACHE_REFRESH: string = 'false';

  /** Whether nothing is remembered, nor looked for. */
  @TrueOrFalse()
  NESTOR_CACHE_DISABLED: string = 'false';

  /** Names the code that runs, such as a git commit; kept with every run. */
  @IsOptional()
  @IsString()
  NESTOR_BUILD_ID?: string;
}

/** The variables without a default. */
const WITHOUT_DEFAULT = [
  ...['DATABASE_URL', 'NESTOR_DIRECT_URL', 'NESTOR_AUTH'],
  ...['NESTOR_SECRET_KEY', 'NESTOR_TASKS', 'NESTOR_WORK_POOLS', 'NESTOR_BUILD_ID'],
  ...['NESTOR_PAYLOAD_DIRECTORY', 'NESTOR_PAYLOAD_KEY'],
];

/** The names of all variables. */
export const VARIABLES: readonly string[] = [...Object.keys(new Environment()), ...WITHOUT_DEFAULT];

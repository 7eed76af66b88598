import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { durationMs, InvalidDurationError, OrchestratorError, type Duration } from '@nestor/core';
import type { RetentionOptions, ServiceOptions } from '@nestor/orchestrator';
import { Environment, VARIABLES } from './environment-variables.js';
import { keyProblems } from './key-variables.js';
import { payloadsOf, type PayloadSettings } from './payload-variables.js';
import { retentionOf, servicesOf } from './retention-variables.js';
import { servedPools, workPoolProblems, type ServedWorkPool } from './work-pools.js';

/** Timers end at 24.8 days; nobody waits for a shutdown, or for a run that is to end, anywhere near as long. */
const LONGEST = '24h';

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
  /** The keys of background tasks; `null` for all. */
  readonly tasks: readonly string[] | null;
  readonly workPools: readonly ServedWorkPool[];
  readonly unqueued: boolean;
  readonly workerLimit: number;
  readonly runsOnce: boolean;
  readonly prefetchMs: number;
  readonly pendingTimeoutMs: number;
  readonly killGraceMs: number;
  readonly services: ServiceOptions | false;
  readonly retention: RetentionOptions;
  readonly persistsResults: boolean;
  readonly payloads: PayloadSettings;
  readonly cache: { readonly refresh: boolean; readonly disabled: boolean };
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
  | `NESTOR_${'DRAIN' | 'CANCEL_GRACE' | 'CANCELLATION_TIMEOUT' | 'MAX_STALL' | 'RUN_HEARTBEAT' | 'KILL_GRACE'}`
  | `NESTOR_${'PREFETCH' | 'PENDING_TIMEOUT'}`;

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

/**
 * Reads the settings of the bundled orchestrator. A variable that is blank counts as not set.
 *
 * @throws {InvalidEnvironmentError} naming every variable that is wrong and what is wrong with it.
 */
export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): Settings {
  const given = Object.entries(variables).filter(([, value]) => value !== undefined && value.trim() !== '');
  const ours = Object.fromEntries(given.filter(([name]) => VARIABLES.includes(name)));
  const environment = plainToInstance(Environment, ours, { exposeDefaultValues: true });
  const problems = validateSync(environment).flatMap((error) => [...new Set(Object.values(error.constraints ?? {}))]);
  const durationOf = (name: DurationVariable, least: Duration = 0, most: Duration = LONGEST): number => {
    const ms = durationMsOf(environment[name], name, most);
    if (ms === null) problems.push(`${name} must be a duration such as ${new Environment()[name]}, at most ${most}`);
    else if (ms < durationMs(least, 'shortest duration')) problems.push(`${name} must be at least ${least}`);
    return ms ?? 0;
  };
  const drainMs = durationOf('NESTOR_DRAIN');
  const cancelGraceMs = durationOf('NESTOR_CANCEL_GRACE');
  const cancellationTimeoutMs = durationOf('NESTOR_CANCELLATION_TIMEOUT', '1s');
  const maxStallMs = durationOf('NESTOR_MAX_STALL');
  const runHeartbeatMs = durationOf('NESTOR_RUN_HEARTBEAT', '1s');
  const prefetchMs = durationOf('NESTOR_PREFETCH', 0, '5m');
  const pendingTimeoutMs = durationOf('NESTOR_PENDING_TIMEOUT', '1s');
  const killGraceMs = durationOf('NESTOR_KILL_GRACE');
  const { DATABASE_URL: url, NESTOR_DIRECT_URL: directUrl } = environment;
  if (directUrl !== undefined && url === undefined) {
    problems.push('NESTOR_DIRECT_URL leads past the pooler of DATABASE_URL, which is not set');
  }
  problems.push(...workPoolProblems(environment.NESTOR_WORK_POOLS));
  if (environment.NESTOR_RUN_ONCE === 'true' && environment.NESTOR_WORKER_LIMIT === 0) {
    problems.push('NESTOR_RUN_ONCE looks for runs, of which NESTOR_WORKER_LIMIT allows none');
  }
  problems.push(...keyProblems('NESTOR_SECRET_KEY', environment.NESTOR_SECRET_KEY));
  if (!LOOPBACK.test(environment.NESTOR_HOST) && environment.NESTOR_AUTH === undefined) {
    problems.push(
      `NESTOR_HOST is "${environment.NESTOR_HOST}", which others can reach; set NESTOR_AUTH=user:password as well, or keep 127.0.0.1`,
    );
  }
  const services = servicesOf(environment.NESTOR_SERVICES, problems);
  const retention = retentionOf(environment, problems);
  const payloads = payloadsOf(environment, problems);
  const tasks = environment.NESTOR_TASKS?.split(',').map((key) => key.trim()) ?? null;
  if (tasks?.includes(''))
    problems.push('NESTOR_TASKS must name tasks by their keys with commas between, such as Mails.send');
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
    tasks,
    workPools: servedPools(environment.NESTOR_WORK_POOLS),
    unqueued: environment.NESTOR_UNQUEUED === 'true',
    workerLimit: environment.NESTOR_WORKER_LIMIT,
    runsOnce: environment.NESTOR_RUN_ONCE === 'true',
    prefetchMs,
    pendingTimeoutMs,
    killGraceMs,
    services,
    retention,
    persistsResults: environment.NESTOR_PERSIST_RESULTS === 'true',
    payloads,
    cache: {
      refresh: environment.NESTOR_CACHE_REFRESH === 'true',
      disabled: environment.NESTOR_CACHE_DISABLED === 'true',
    },
    buildId: environment.NESTOR_BUILD_ID ?? null,
  };
}

function durationMsOf(text: string, name: string, most: Duration): number | null {
  try {
    const ms = durationMs(text as Duration, `variable ${name}`);
    return ms <= durationMs(most, 'longest duration') ? ms : null;
  } catch (error) {
    if (error instanceof InvalidDurationError) return null;
    throw error;
  }
}

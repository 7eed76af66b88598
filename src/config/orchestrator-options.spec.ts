import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type {
  BackgroundTaskOptions,
  CacheOptions,
  EmbeddedDatabaseOptions,
  OrchestratorExtras,
  OrchestratorOptions,
  PayloadOptions,
  RetentionOptions,
  ServerDatabaseOptions,
  WorkerOptions,
  WorkerPoolOptions,
} from '@nestor/orchestrator';
import { VARIABLES } from './environment-variables.js';
import { readEnvironment } from './environment.js';
import { orchestratorOptions } from './orchestrator-options.js';

/** The options that have options of their own, by the name before the dot. */
interface Groups {
  database: ServerDatabaseOptions & EmbeddedDatabaseOptions;
  worker: Omit<WorkerOptions, 'pools'>;
  'worker.pools': WorkerPoolOptions;
  backgroundTasks: BackgroundTaskOptions;
  retention: RetentionOptions;
  payloads: PayloadOptions;
  cache: CacheOptions;
}
type OptionName =
  | Exclude<keyof OrchestratorOptions, keyof Groups>
  | keyof OrchestratorExtras
  | { [Group in keyof Groups]: `${Group}.${keyof Groups[Group] & string}` }[keyof Groups];

/** Which variables change an option, with values that do. */
type Variables = Readonly<Record<string, string>>;
/** Why no variable does. */
type Reason = string;

const KEY = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=';
const URL = 'postgres://nestor@db/nestor';
const OF_CODE = 'names classes, which is for code to do';

/** The compiler refuses it when an option is missing. */
const OPTIONS: Record<OptionName, Variables | Reason> = {
  'database.url': { DATABASE_URL: URL },
  'database.directUrl': { DATABASE_URL: URL, NESTOR_DIRECT_URL: `${URL}?direct` },
  'database.home': { NESTOR_HOME: '/data' },
  'database.poolSize': { NESTOR_POOL_SIZE: '3' },
  schema: { NESTOR_SCHEMA: 'flows' },
  app: { NESTOR_APP: 'billing' },
  buildId: { NESTOR_BUILD_ID: '1f0c9e2' },
  drain: { NESTOR_DRAIN: '1m' },
  cancelGrace: { NESTOR_CANCEL_GRACE: '1m' },
  cancellationTimeout: { NESTOR_CANCELLATION_TIMEOUT: '1m' },
  pauseOnShutdown: { NESTOR_PAUSE_ON_SHUTDOWN: 'true' },
  maxStall: { NESTOR_MAX_STALL: '5m' },
  maxRecoveries: { NESTOR_MAX_RECOVERIES: '3' },
  runHeartbeat: { NESTOR_RUN_HEARTBEAT: '1m' },
  codecs: OF_CODE,
  errors: OF_CODE,
  'backgroundTasks.concurrency': { NESTOR_TASK_CONCURRENCY: '3' },
  'backgroundTasks.tasks': { NESTOR_TASKS: 'Mails.send' },
  'worker.unqueued': { NESTOR_UNQUEUED: 'false' },
  'worker.limit': { NESTOR_WORKER_LIMIT: '3' },
  'worker.prefetch': { NESTOR_PREFETCH: '1m' },
  'worker.runOnce': { NESTOR_RUN_ONCE: 'true' },
  'worker.application': 'is always this application',
  'worker.killGrace': { NESTOR_KILL_GRACE: '1m' },
  'worker.pools.name': { NESTOR_WORK_POOLS: 'etl' },
  'worker.pools.type': { NESTOR_WORK_POOLS: 'etl:nest-process' },
  'worker.pools.queues': { NESTOR_WORK_POOLS: 'etl/nightly' },
  'worker.pools.limit': { NESTOR_WORK_POOLS: 'etl:nest:3' },
  'worker.pools.workerName':
    'has to differ from process to process, which the default does and an environment that they share would not',
  pendingTimeout: { NESTOR_PENDING_TIMEOUT: '1m' },
  services: { NESTOR_SERVICES: 'sweeper' },
  'retention.runs': { NESTOR_RETENTION_RUNS: '1d' },
  'retention.events': { NESTOR_RETENTION_EVENTS: '1d' },
  'retention.eventsByType': { NESTOR_RETENTION_EVENTS_BY_TYPE: 'shop.*=1d' },
  'retention.artifacts': { NESTOR_RETENTION_ARTIFACTS: '1d' },
  'retention.logs': { NESTOR_RETENTION_LOGS: '1d' },
  'payloads.inlineLimit': { NESTOR_PAYLOAD_INLINE_LIMIT: '1000' },
  'payloads.maxBytes': { NESTOR_PAYLOAD_MAX_BYTES: '1000000' },
  'payloads.store': { NESTOR_PAYLOAD_DIRECTORY: '/shared/payloads' },
  'payloads.codec': { NESTOR_PAYLOAD_GZIP: 'true', NESTOR_PAYLOAD_KEY: KEY },
  persistResults: { NESTOR_PERSIST_RESULTS: 'false' },
  'cache.refresh': { NESTOR_CACHE_REFRESH: 'true' },
  'cache.disabled': { NESTOR_CACHE_DISABLED: 'true' },
  secretKey: { NESTOR_SECRET_KEY: KEY },
  name: 'is for hosts with data sources of their own',
};
/** They are about the API. */
const NO_OPTIONS = ['NESTOR_HOST', 'NESTOR_PORT', 'NESTOR_AUTH'];

const optionsOf = (variables: Variables): OrchestratorOptions => orchestratorOptions(readEnvironment(variables));

/** What is at `worker.limit`, or at `worker.pools.name` of the first pool. */
function valueOf(options: OrchestratorOptions, name: string): unknown {
  return name.split('.').reduce<unknown>((value, field) => {
    const [only] = Array.isArray(value) ? (value as unknown[]) : [value];
    return (only as Record<string, unknown> | undefined)?.[field];
  }, options);
}

describe('the options of the module', () => {
  const settable = Object.entries(OPTIONS).filter((row): row is [string, Variables] => typeof row[1] !== 'string');
  const others = Object.entries(OPTIONS).filter((row): row is [string, Reason] => typeof row[1] === 'string');

  it.each(settable)('%s is set by %j', (name, variables) => {
    expect(valueOf(optionsOf(variables), name)).not.toEqual(valueOf(optionsOf({}), name));
  });

  it.each(others)('%s has no variable: it %s', (name) => {
    const all = Object.assign({}, ...settable.map(([, variables]) => variables)) as Variables;
    expect(valueOf(optionsOf(all), name)).toEqual(valueOf(optionsOf({}), name));
  });

  it('compress before they encrypt', () => {
    const { codec } = optionsOf(OPTIONS['payloads.codec'] as Variables).payloads ?? {};
    expect(codec).toMatchObject([{ name: 'gzip' }, { name: 'aes-256-gcm' }]);
  });

  it.each([
    ['worker', { NESTOR_WORKER_LIMIT: '0' }],
    ['backgroundTasks', { NESTOR_TASK_CONCURRENCY: '0' }],
    ['services', { NESTOR_SERVICES: 'none' }],
  ] as const)('%s is switched off by %j', (name, variables) => {
    expect(optionsOf(variables)[name]).toBe(false);
  });

  describe('and the page about them', () => {
    const page = readFileSync(resolve(__dirname, '../../docs/configuration.md'), 'utf8');
    const [, options = '', variables = ''] = page.split(/^## .*$/m);
    const firstCells = (table: string): string[] =>
      [...table.matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell = '']) =>
        [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
      );

    it('know the same variables', () => {
      const used = settable.flatMap(([, one]) => Object.keys(one));
      expect([...firstCells(variables)].sort()).toEqual([...VARIABLES].sort());
      expect([...new Set([...used, ...NO_OPTIONS])].sort()).toEqual([...VARIABLES].sort());
    });

    it('know the same options', () => {
      const names = Object.keys(OPTIONS).map((name) => name.replace(/^(worker\.pools)\..*/, '$1'));
      expect([...firstCells(options)].sort()).toEqual([...new Set(names)].sort());
    });
  });
});

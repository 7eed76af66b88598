import { SERVICE_NAMES } from '@nestor/orchestrator';
import { VARIABLES } from './environment-variables.js';
import { InvalidEnvironmentError, readEnvironment, type Settings } from './environment.js';

const DEFAULTS: Settings = {
  database: { home: '.nestor', poolSize: 10 },
  home: '.nestor',
  host: '127.0.0.1',
  port: 4200,
  auth: null,
  schema: 'nestor',
  app: 'default',
  drainMs: 25_000,
  cancelGraceMs: 10_000,
  cancellationTimeoutMs: 300_000,
  pausesOnShutdown: false,
  maxStallMs: 60_000,
  runHeartbeatMs: 180_000,
  maxRecoveries: 10,
  secretKey: null,
  taskConcurrency: 10,
  tasks: null,
  workPools: [],
  unqueued: true,
  workerLimit: 200,
  runsOnce: false,
  prefetchMs: 0,
  pendingTimeoutMs: 600_000,
  killGraceMs: 30_000,
  services: {},
  retention: {
    runs: '90d',
    events: '30d',
    eventsByType: { 'prefect.flow-run.heartbeat': '7d' },
    artifacts: false,
    logs: '30d',
  },
  persistsResults: true,
  payloads: { inlineLimit: 65_536, maxBytes: 67_108_864, directory: null, isCompressed: false, key: null },
  cache: { refresh: false, disabled: false },
  buildId: null,
};

const NO_SERVICES = Object.fromEntries(SERVICE_NAMES.map((name) => [name, false]));

function problemsOf(variables: Record<string, string>): readonly string[] {
  try {
    readEnvironment(variables);
  } catch (error) {
    if (error instanceof InvalidEnvironmentError) return error.problems;
    throw error;
  }
  return [];
}

describe('reading the environment', () => {
  it('has a default for everything', () => {
    expect(readEnvironment({})).toEqual(DEFAULTS);
  });

  const URL = 'postgres://nestor:secret@db/nestor';
  const KEY = 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=';
  it.each<[string, Record<string, string>, Partial<Settings>]>([
    ['DATABASE_URL', { DATABASE_URL: URL }, { database: { url: URL, poolSize: 10 } }],
    [
      'NESTOR_DIRECT_URL beside DATABASE_URL',
      { DATABASE_URL: URL, NESTOR_DIRECT_URL: `${URL}?direct` },
      { database: { url: URL, directUrl: `${URL}?direct`, poolSize: 10 } },
    ],
    ['NESTOR_HOME', { NESTOR_HOME: '/data' }, { home: '/data', database: { home: '/data', poolSize: 10 } }],
    [
      'NESTOR_HOME beside DATABASE_URL, for reports',
      { NESTOR_HOME: '/data', DATABASE_URL: URL },
      { home: '/data', database: { url: URL, poolSize: 10 } },
    ],
    ['NESTOR_HOST', { NESTOR_HOST: 'localhost' }, { host: 'localhost' }],
    ['NESTOR_HOST as IPv6', { NESTOR_HOST: '::1' }, { host: '::1' }],
    ['NESTOR_PORT', { NESTOR_PORT: '8080' }, { port: 8080 }],
    ['NESTOR_PORT, any free one', { NESTOR_PORT: '0' }, { port: 0 }],
    ['NESTOR_PORT, the last one', { NESTOR_PORT: '65535' }, { port: 65_535 }],
    ['NESTOR_AUTH', { NESTOR_AUTH: 'ops:12345678' }, { auth: 'ops:12345678' }],
    ['NESTOR_AUTH with colons in the password', { NESTOR_AUTH: 'ops:1234:5678' }, { auth: 'ops:1234:5678' }],
    [
      'NESTOR_HOST beyond the loopback address, with NESTOR_AUTH',
      { NESTOR_HOST: '0.0.0.0', NESTOR_AUTH: 'ops:12345678' },
      { host: '0.0.0.0', auth: 'ops:12345678' },
    ],
    ['NESTOR_SCHEMA', { NESTOR_SCHEMA: 'flows' }, { schema: 'flows' }],
    ['NESTOR_APP', { NESTOR_APP: 'billing' }, { app: 'billing' }],
    ['NESTOR_POOL_SIZE', { NESTOR_POOL_SIZE: '3' }, { database: { home: '.nestor', poolSize: 3 } }],
    ['NESTOR_DRAIN', { NESTOR_DRAIN: '1.5m' }, { drainMs: 90_000 }],
    ['NESTOR_DRAIN, not at all', { NESTOR_DRAIN: '0s' }, { drainMs: 0 }],
    ['NESTOR_CANCEL_GRACE', { NESTOR_CANCEL_GRACE: '2s' }, { cancelGraceMs: 2_000 }],
    ['NESTOR_CANCELLATION_TIMEOUT', { NESTOR_CANCELLATION_TIMEOUT: '1s' }, { cancellationTimeoutMs: 1_000 }],
    ['NESTOR_PAUSE_ON_SHUTDOWN', { NESTOR_PAUSE_ON_SHUTDOWN: 'true' }, { pausesOnShutdown: true }],
    ['NESTOR_MAX_STALL', { NESTOR_MAX_STALL: '5m' }, { maxStallMs: 300_000 }],
    ['NESTOR_RUN_HEARTBEAT', { NESTOR_RUN_HEARTBEAT: '30s' }, { runHeartbeatMs: 30_000 }],
    ['NESTOR_MAX_RECOVERIES', { NESTOR_MAX_RECOVERIES: '1000' }, { maxRecoveries: 1_000 }],
    ['NESTOR_MAX_RECOVERIES, none', { NESTOR_MAX_RECOVERIES: '0' }, { maxRecoveries: 0 }],
    ['NESTOR_TASK_CONCURRENCY', { NESTOR_TASK_CONCURRENCY: '0' }, { taskConcurrency: 0 }],
    ['NESTOR_TASKS', { NESTOR_TASKS: 'Mails.send, Mails.count' }, { tasks: ['Mails.send', 'Mails.count'] }],
    ['NESTOR_SERVICES, none', { NESTOR_SERVICES: 'none' }, { services: false }],
    [
      'NESTOR_SERVICES, some',
      { NESTOR_SERVICES: 'sweeper, retention' },
      { services: { ...NO_SERVICES, sweeper: true, retention: true } },
    ],
    ['NESTOR_RETENTION_RUNS', { NESTOR_RETENTION_RUNS: 'off' }, { retention: { ...DEFAULTS.retention, runs: false } }],
    [
      'NESTOR_RETENTION_EVENTS',
      { NESTOR_RETENTION_EVENTS: 'off' },
      { retention: { ...DEFAULTS.retention, events: false } },
    ],
    [
      'NESTOR_RETENTION_EVENTS_BY_TYPE',
      { NESTOR_RETENTION_EVENTS_BY_TYPE: 'shop.stock.*=1d, shop.ping=1h' },
      { retention: { ...DEFAULTS.retention, eventsByType: { 'shop.stock.*': '1d', 'shop.ping': '1h' } } },
    ],
    [
      'NESTOR_RETENTION_EVENTS_BY_TYPE, none',
      { NESTOR_RETENTION_EVENTS_BY_TYPE: 'off' },
      { retention: { ...DEFAULTS.retention, eventsByType: {} } },
    ],
    [
      'NESTOR_RETENTION_ARTIFACTS and NESTOR_RETENTION_LOGS',
      { NESTOR_RETENTION_ARTIFACTS: '30d', NESTOR_RETENTION_LOGS: '12h' },
      { retention: { ...DEFAULTS.retention, artifacts: '30d', logs: '12h' } },
    ],
    ['NESTOR_BUILD_ID', { NESTOR_BUILD_ID: '1f0c9e2' }, { buildId: '1f0c9e2' }],
    ['NESTOR_WORK_POOLS', { NESTOR_WORK_POOLS: 'etl' }, { workPools: [{ name: 'etl', type: 'nest' }] }],
    [
      'NESTOR_WORK_POOLS, several, with types and limits',
      { NESTOR_WORK_POOLS: 'etl, heavy : nest-process : 4,light:nest-thread' },
      {
        workPools: [
          { name: 'etl', type: 'nest' },
          { name: 'heavy', type: 'nest-process', limit: 4 },
          { name: 'light', type: 'nest-thread' },
        ],
      },
    ],
    [
      'NESTOR_WORK_POOLS, some queues of them',
      { NESTOR_WORK_POOLS: 'etl/nightly, heavy/a / b:nest-process:4' },
      {
        workPools: [
          { name: 'etl', type: 'nest', queues: ['nightly'] },
          { name: 'heavy', type: 'nest-process', queues: ['a', 'b'], limit: 4 },
        ],
      },
    ],
    ['NESTOR_UNQUEUED', { NESTOR_UNQUEUED: 'false' }, { unqueued: false }],
    ['NESTOR_WORKER_LIMIT', { NESTOR_WORKER_LIMIT: '0' }, { workerLimit: 0 }],
    ['NESTOR_RUN_ONCE', { NESTOR_RUN_ONCE: 'true' }, { runsOnce: true }],
    ['NESTOR_PREFETCH', { NESTOR_PREFETCH: '5m' }, { prefetchMs: 300_000 }],
    ['NESTOR_PENDING_TIMEOUT', { NESTOR_PENDING_TIMEOUT: '1s' }, { pendingTimeoutMs: 1_000 }],
    ['NESTOR_KILL_GRACE', { NESTOR_KILL_GRACE: '5s' }, { killGraceMs: 5_000 }],
    ['NESTOR_PERSIST_RESULTS', { NESTOR_PERSIST_RESULTS: 'false' }, { persistsResults: false }],
    [
      'NESTOR_PAYLOAD_INLINE_LIMIT and NESTOR_PAYLOAD_MAX_BYTES',
      { NESTOR_PAYLOAD_INLINE_LIMIT: '0', NESTOR_PAYLOAD_MAX_BYTES: '1' },
      { payloads: { ...DEFAULTS.payloads, inlineLimit: 0, maxBytes: 1 } },
    ],
    [
      'NESTOR_PAYLOAD_DIRECTORY',
      { NESTOR_PAYLOAD_DIRECTORY: '/shared/payloads' },
      { payloads: { ...DEFAULTS.payloads, directory: '/shared/payloads' } },
    ],
    [
      'NESTOR_PAYLOAD_GZIP and NESTOR_PAYLOAD_KEY',
      { NESTOR_PAYLOAD_GZIP: 'true', NESTOR_PAYLOAD_KEY: `2026:${KEY}` },
      { payloads: { ...DEFAULTS.payloads, isCompressed: true, key: `2026:${KEY}` } },
    ],
    ['NESTOR_CACHE_REFRESH', { NESTOR_CACHE_REFRESH: 'true' }, { cache: { refresh: true, disabled: false } }],
    ['NESTOR_CACHE_DISABLED', { NESTOR_CACHE_DISABLED: 'true' }, { cache: { refresh: false, disabled: true } }],
    ['NESTOR_SECRET_KEY', { NESTOR_SECRET_KEY: KEY }, { secretKey: KEY }],
    [
      'NESTOR_SECRET_KEY, several',
      { NESTOR_SECRET_KEY: `2026:${KEY}, ${'0f'.repeat(32)}` },
      { secretKey: `2026:${KEY}, ${'0f'.repeat(32)}` },
    ],
  ])('%s', (_, variables, expected) => {
    expect(readEnvironment(variables)).toEqual({ ...DEFAULTS, ...expected });
  });

  it.each(VARIABLES)('%s counts as not set when it is blank', (name) => {
    expect(readEnvironment({ [name]: '' })).toEqual(DEFAULTS);
    expect(readEnvironment({ [name]: '  ' })).toEqual(DEFAULTS);
  });

  it('passes over variables of others', () => {
    expect(readEnvironment({ PORT: '1', NESTOR_COLOUR: 'green', __proto__: 'x', constructor: 'y' })).toEqual(DEFAULTS);
  });

  const PORT = 'NESTOR_PORT must be a whole number from 0 to 65535';
  const POOL_SIZE = 'NESTOR_POOL_SIZE must be a whole number from 1 to 1000';
  const AUTH = 'NESTOR_AUTH must be user:password, the password of 8 characters or more';
  const DRAIN = 'NESTOR_DRAIN must be a duration such as 25s, at most 24h';
  const CANCEL_GRACE = 'NESTOR_CANCEL_GRACE must be a duration such as 10s, at most 24h';
  const MAX_STALL = 'NESTOR_MAX_STALL must be a duration such as 60s, at most 24h';
  const MAX_RECOVERIES = 'NESTOR_MAX_RECOVERIES must be a whole number from 0 to 1000';
  const WORK_POOLS = expect.stringMatching(/^NESTOR_WORK_POOLS must name pools with commas between/) as string;
  const SECRET_KEY =
    'NESTOR_SECRET_KEY must be 32 random bytes in base64 (openssl rand -base64 32), or several such keys with commas between';
  const SERVICES =
    'NESTOR_SERVICES must be all, none, or some of scheduler, lateRuns, sweeper, slots, foreman, hooks, housekeeping, retention with commas between';
  const RUNS = 'NESTOR_RETENTION_RUNS must be a duration such as 30d, from 1m to 36525d, or off';
  const LOGS = RUNS.replace('RUNS', 'LOGS');
  const BY_TYPE =
    'NESTOR_RETENTION_EVENTS_BY_TYPE must be off, or names of events with durations and commas between, such as shop.stock.*=1d,shop.ping=1h';
  it.each([
    ['NESTOR_SERVICES', 'sweeper,cleaner', SERVICES],
    ['NESTOR_SERVICES', 'all,sweeper', SERVICES],
    ['NESTOR_RETENTION_RUNS', 'forever', RUNS],
    ['NESTOR_RETENTION_RUNS', '59s', RUNS],
    ['NESTOR_RETENTION_LOGS', '36526d', LOGS],
    ['NESTOR_RETENTION_EVENTS_BY_TYPE', 'shop.ping', BY_TYPE],
    ['NESTOR_RETENTION_EVENTS_BY_TYPE', 'shop.ping=1d,=2d', BY_TYPE],
    ['NESTOR_RETENTION_EVENTS_BY_TYPE', 'shop.*.ping=1d', BY_TYPE],
    ['NESTOR_PORT', 'http', PORT],
    ['NESTOR_PORT', '-1', PORT],
    ['NESTOR_PORT', '65536', PORT],
    ['NESTOR_PORT', '80.5', PORT],
    ['NESTOR_PORT', '4200 4201', PORT],
    ['NESTOR_POOL_SIZE', '0', POOL_SIZE],
    ['NESTOR_POOL_SIZE', '1001', POOL_SIZE],
    ['NESTOR_POOL_SIZE', 'many', POOL_SIZE],
    ['NESTOR_AUTH', 'secret', AUTH],
    ['NESTOR_AUTH', 'ops:1234567', AUTH],
    ['NESTOR_AUTH', ':12345678', AUTH],
    ['NESTOR_DRAIN', '25', DRAIN],
    ['NESTOR_DRAIN', 'soon', DRAIN],
    ['NESTOR_DRAIN', '-1s', DRAIN],
    ['NESTOR_DRAIN', '25h', DRAIN],
    ['NESTOR_CANCEL_GRACE', '10', CANCEL_GRACE],
    ['NESTOR_CANCEL_GRACE', '2d', CANCEL_GRACE],
    ['NESTOR_CANCELLATION_TIMEOUT', '25h', 'NESTOR_CANCELLATION_TIMEOUT must be a duration such as 5m, at most 24h'],
    ['NESTOR_CANCELLATION_TIMEOUT', '999ms', 'NESTOR_CANCELLATION_TIMEOUT must be at least 1s'],
    ['NESTOR_PAUSE_ON_SHUTDOWN', 'yes', 'NESTOR_PAUSE_ON_SHUTDOWN must be true or false'],
    ['NESTOR_MAX_STALL', 'never', MAX_STALL],
    ['NESTOR_MAX_STALL', '25h', MAX_STALL],
    ['NESTOR_MAX_RECOVERIES', '-1', MAX_RECOVERIES],
    ['NESTOR_RUN_HEARTBEAT', '25h', 'NESTOR_RUN_HEARTBEAT must be a duration such as 3m, at most 24h'],
    ['NESTOR_RUN_HEARTBEAT', '999ms', 'NESTOR_RUN_HEARTBEAT must be at least 1s'],
    ['NESTOR_RUN_HEARTBEAT', '0s', 'NESTOR_RUN_HEARTBEAT must be at least 1s'],
    ['NESTOR_MAX_RECOVERIES', '1001', MAX_RECOVERIES],
    ['NESTOR_MAX_RECOVERIES', '2.5', MAX_RECOVERIES],
    ['NESTOR_MAX_RECOVERIES', 'often', MAX_RECOVERIES],
    ['NESTOR_TASK_CONCURRENCY', '1001', 'NESTOR_TASK_CONCURRENCY must be a whole number from 0 to 1000'],
    ['NESTOR_WORK_POOLS', 'etl,', WORK_POOLS],
    ['NESTOR_WORK_POOLS', 'etl:docker', WORK_POOLS],
    ['NESTOR_WORK_POOLS', 'etl:nest:0', WORK_POOLS],
    ['NESTOR_WORK_POOLS', 'etl:nest:4:5', WORK_POOLS],
    ['NESTOR_WORK_POOLS', 'a%b', WORK_POOLS],
    ['NESTOR_WORK_POOLS', 'etl,etl:nest', 'NESTOR_WORK_POOLS names "etl" twice'],
    ['NESTOR_WORK_POOLS', 'etl/', WORK_POOLS],
    ['NESTOR_WORK_POOLS', 'etl/a,etl/b', 'NESTOR_WORK_POOLS names "etl" twice'],
    [
      'NESTOR_TASKS',
      'Mails.send,',
      'NESTOR_TASKS must name tasks by their keys with commas between, such as Mails.send',
    ],
    ['NESTOR_PREFETCH', '301s', 'NESTOR_PREFETCH must be a duration such as 0s, at most 5m'],
    ['NESTOR_PENDING_TIMEOUT', '999ms', 'NESTOR_PENDING_TIMEOUT must be at least 1s'],
    ['NESTOR_PERSIST_RESULTS', 'no', 'NESTOR_PERSIST_RESULTS must be true or false'],
    ['NESTOR_PAYLOAD_MAX_BYTES', '262144001', 'NESTOR_PAYLOAD_MAX_BYTES must be a whole number from 1 to 262144000'],
    ['NESTOR_PAYLOAD_INLINE_LIMIT', '64KiB', 'NESTOR_PAYLOAD_INLINE_LIMIT must be a whole number from 0 to 262144000'],
    [
      'NESTOR_PAYLOAD_INLINE_LIMIT',
      '67108865',
      'NESTOR_PAYLOAD_INLINE_LIMIT must not be more than NESTOR_PAYLOAD_MAX_BYTES',
    ],
    ['NESTOR_PAYLOAD_KEY', 'hunter2', SECRET_KEY.replace('SECRET', 'PAYLOAD')],
    ['NESTOR_CACHE_DISABLED', '1', 'NESTOR_CACHE_DISABLED must be true or false'],
    ['NESTOR_UNQUEUED', 'no', 'NESTOR_UNQUEUED must be true or false'],
    ['NESTOR_WORKER_LIMIT', '-1', 'NESTOR_WORKER_LIMIT must be a whole number from 0 to 10000'],
    ['NESTOR_RUN_ONCE', 'yes', 'NESTOR_RUN_ONCE must be true or false'],
    ['NESTOR_KILL_GRACE', 'later', 'NESTOR_KILL_GRACE must be a duration such as 30s, at most 24h'],
    ['NESTOR_DIRECT_URL', URL, 'NESTOR_DIRECT_URL leads past the pooler of DATABASE_URL, which is not set'],
    ['NESTOR_DRAIN', `${'9'.repeat(400)}s`, DRAIN],
    ['NESTOR_SECRET_KEY', 'hunter2', SECRET_KEY],
    ['NESTOR_SECRET_KEY', `${KEY},`, SECRET_KEY],
    ['NESTOR_SECRET_KEY', `${KEY}${KEY}`, SECRET_KEY],
  ])('%s=%s is refused, in one sentence', (name, value, problem) => {
    expect(problemsOf({ [name]: value })).toEqual([problem]);
  });

  it.each([
    '0.0.0.0',
    '::',
    '192.168.1.7',
    'orchestrator.example',
    '128.0.0.1',
    '127.0.0.1.example',
    'localhost.example',
  ])('NESTOR_HOST=%s, which others can reach, is refused without NESTOR_AUTH', (host) => {
    expect(problemsOf({ NESTOR_HOST: host })).toEqual([
      `NESTOR_HOST is "${host}", which others can reach; set NESTOR_AUTH=user:password as well, or keep 127.0.0.1`,
    ]);
  });

  it('says everything that is wrong at once', () => {
    const problems = problemsOf({
      NESTOR_HOST: '0.0.0.0',
      NESTOR_PORT: 'http',
      NESTOR_POOL_SIZE: '0',
      NESTOR_DRAIN: 'soon',
    });
    expect([...problems].sort()).toEqual([
      DRAIN,
      expect.stringMatching(/^NESTOR_HOST is "0\.0\.0\.0"/),
      POOL_SIZE,
      PORT,
    ]);
  });

  it('refuses to look once for runs of which none may be taken', () => {
    expect(problemsOf({ NESTOR_RUN_ONCE: 'true', NESTOR_WORKER_LIMIT: '0' })).toEqual([
      'NESTOR_RUN_ONCE looks for runs, of which NESTOR_WORKER_LIMIT allows none',
    ]);
  });

  it('is one error, whose message repeats no password', () => {
    const read = () => readEnvironment({ NESTOR_AUTH: 'secret', DATABASE_URL: 'postgres://a:secret@b/c' });
    expect(read).toThrow(InvalidEnvironmentError);
    expect(read).toThrow(expect.objectContaining({ code: 'ENVIRONMENT_INVALID' }));
    expect(read).not.toThrow(/secret/);
  });
});

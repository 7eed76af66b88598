/**
 * How long the bundled orchestrator takes to start, and what it costs while nothing happens.
 *
 *   npm run bench:start-up
 *
 * Cold: the first start in a new home, with the creation of the database cluster and schema. Warm: the starts after that.
 * Ready is when `GET /api/ready` answers 200; the clock starts before the process is spawned. The idle figures are those
 * of the Node process alone and are taken after the first audit has ended.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { arch, cpus, platform, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

const WARM_STARTS = 5;
const START_WITHIN_MS = 60_000;
const SETTLE_MS = 10_000;
const IDLE_MS = 30_000;
const BUDGET = { cold_s: 6, warm_s: 2, rss_mb: 200, idle_cpu_percent: 1, idle_queries_per_s: 2 };

const root = fileURLToPath(new URL('../..', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'nestor-start-up-'));
chmodSync(home, 0o755); // root starts the server as another user, who has to get in

if (platform() !== 'linux') throw new Error('The figures of the process are read from /proc: this runs on Linux only.');
await build();
let app;
try {
  app = await start();
  const coldS = app.startS;
  const machine = { cpu: cpus()[0]?.model.trim(), cores: cpus().length, memory_gb: Math.round(totalmem() / 2 ** 30) };
  const idle = await idleFigures(app);
  await stop(app);

  const warm = [];
  while (warm.length < WARM_STARTS) {
    app = await start();
    warm.push(app);
    await stop(app);
  }
  const figures = { cold_s: coldS, warm_s: median(warm.map(({ startS }) => startS)), ...idle.figures };
  report(figures, warm, idle.connections);
  const versions = { node: process.version, postgresql: idle.postgresql };
  const rounded = Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value.toFixed(3))]));
  console.log(JSON.stringify({ ...rounded, machine: { ...machine, system: `${platform()} ${arch()}` }, ...versions }));
} finally {
  app?.process.kill('SIGKILL');
  rmSync(home, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

async function build() {
  const build = spawn(process.execPath, [join(root, 'scripts/build.mjs'), '--runtime-only', '--if-stale'], {
    stdio: 'inherit',
  });
  const [code] = await once(build, 'exit');
  if (code !== 0) process.exit(code ?? 1);
}

/** Starts the application and asks again and again until it says that it is ready. */
async function start() {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/api`;
  const startedAt = performance.now();
  const child = spawn(process.execPath, [join(root, 'dist/src/main.js')], {
    cwd: root,
    env: { PATH: process.env.PATH, NESTOR_HOME: home, NESTOR_PORT: String(port), NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = { text: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (said.text += text));
  while (!(await isReady(url))) {
    if (child.exitCode !== null) throw new Error(`The application ended:\n${said.text}`);
    if (performance.now() - startedAt > START_WITHIN_MS) throw new Error('The application does not get ready.');
    await sleep(15); // asking costs processor time as well
  }
  return { process: child, url, said, startS: (performance.now() - startedAt) / 1_000, startCpuS: cpu(child.pid).cpuS };
}

async function stop({ process: child }) {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function isReady(url) {
  try {
    const { status, body } = await fetch(`${url}/ready`);
    await body?.cancel();
    return status === 200;
  } catch {
    return false;
  }
}

async function idleFigures({ process: child, url, said }) {
  await until(() => said.text.includes('The first flow is COMPLETED'), 'the first audit to complete');
  await until(async () => {
    const { items } = await (await fetch(`${url}/flow_runs`)).json();
    return items.every((run) => run.end_time !== null);
  }, 'every run to end');
  await sleep(SETTLE_MS);

  const client = new pg.Client(connectionOf(home));
  await client.connect();
  try {
    const { rows } = await client.query(`select current_setting('server_version') as version`);
    const first = await transactions(client);
    const before = { ...(await transactions(client)), ...cpu(child.pid) };
    const ofOneLook = before.transactions - first.transactions; // the application is idle, and there was hardly any time
    await sleep(IDLE_MS);
    const after = { ...cpu(child.pid), ...(await transactions(client)) };
    const seconds = (after.at - before.at) / 1_000;
    return {
      figures: {
        rss_mb: rssMb(child.pid),
        idle_cpu_percent: ((after.cpuS - before.cpuS) / seconds) * 100,
        // After a longer pause the server counts one of ours less.
        idle_queries_per_s: Math.max(0, after.transactions - before.transactions - ofOneLook) / seconds,
      },
      connections: after.connections,
      postgresql: rows[0].version,
    };
  } finally {
    await client.end();
  }
}

/**
 * Transactions of our database so far; outside an explicit transaction every query is one. A session reports its own to
 * the statistics once a second at most, therefore this one is told to report.
 */
async function transactions(client) {
  await client.query('select pg_stat_force_next_flush()');
  await client.query('select pg_stat_clear_snapshot()');
  const { rows } = await client.query(
    `select (select (xact_commit + xact_rollback)::int from pg_stat_database where datname = current_database()) as total,
            (select count(*)::int from pg_stat_activity where application_name like 'nestor:%') as connections`,
  );
  return { transactions: rows[0].total, connections: rows[0].connections, at: performance.now() };
}

function connectionOf(directory) {
  const cluster = join(directory, 'postgres');
  return {
    host: join(cluster, 'socket'),
    user: 'nestor',
    database: 'nestor',
    password: readFileSync(join(cluster, 'application-password'), 'utf8').trim(),
    application_name: 'start-up benchmark',
  };
}

/** Processor time of a process, in user and kernel mode; see proc(5). */
function cpu(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name in front may contain spaces
  const TICKS_PER_S = 100; // USER_HZ, the same on every architecture Node runs on
  return { cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S };
}

function rssMb(pid) {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(kilobytes) / 1_024;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function until(condition, what) {
  const deadline = performance.now() + START_WITHIN_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}.`);
    await sleep(50);
  }
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

function report(figures, warm, connections) {
  const each = (figure) => warm.map((start) => start[figure].toFixed(2)).join(', ');
  const rows = [
    ['cold_s', 'cold start to ready', 's', 'creates cluster and schema'],
    ['warm_s', 'warm start to ready', 's', `median of ${each('startS')}; processor ${each('startCpuS')}`],
    ['rss_mb', 'memory, idle', 'MB', 'VmRSS of the Node process'],
    ['idle_cpu_percent', 'processor, idle', '%', `of one core, over ${IDLE_MS / 1_000} s`],
    ['idle_queries_per_s', 'queries, idle', '/s', `${connections} connections open`],
  ];
  for (const [figure, what, unit, note] of rows) {
    const measured = `${figures[figure].toFixed(2)} ${unit}`.padStart(11);
    const verdict = figures[figure] <= BUDGET[figure] ? 'ok' : 'MISSED';
    const budget = `budget ${`${BUDGET[figure]} ${unit}`.padStart(6)}   ${verdict}`;
    console.log(`${what.padEnd(20)} ${measured}   ${budget.padEnd(24)} ${note}`);
  }
}

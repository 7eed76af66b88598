/**
 * `npm start`, `npm run demo`, `npm run migrate` and `npm run deploy-check`: see HELP. Builds first when that is needed.
 *
 * The application is loaded into this very process, so that signals, the exit code and the memory are its own.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { requireInstalledPackages, root, staleness } from './build-inputs.mjs';

const PROGRAMS = ['services', 'demo', 'migrate', 'deploy-check'];
const HELP = `npm start -- [--run-once | services | demo | migrate [--check] | deploy-check]

Starts the bundled orchestrator on the PostgreSQL of DATABASE_URL, or else on an embedded one in NESTOR_HOME (.nestor):

  (nothing)     serves the API, executes runs, and does for all processes what has to be done by one
  services      does nothing but the last of these
  --run-once    looks once for runs that wait, executes those that it got, and ends; serves nothing. The same as NESTOR_RUN_ONCE=true
  demo          audits the installed packages once, without a server, and prints the task runs; the same as npm run demo
  migrate       creates the schema, or brings it up to this code, and ends; what every start does first. The same as npm run migrate.
                With --check it changes nothing: the exit code is 0 when the schema is up to this code, and 1 when it is not
  deploy-check  tries this code on the runs in flight, and touches nothing; the same as npm run deploy-check. The exit code is 0
                when all of them go on as they began
  --help        this text

Settings come from the environment: DATABASE_URL, NESTOR_HOME, NESTOR_PORT and so on. All of them: docs/configuration.md`;

const [node, , ...args] = process.argv;
const program = PROGRAMS.includes(args[0]) ? args.shift() : 'main';
if (program === 'main' && args[0] === '--run-once') {
  args.shift();
  process.env.NESTOR_RUN_ONCE = 'true';
}
if (args.includes('--help') || args.includes('-h')) {
  console.log(HELP);
  process.exit();
}
const passedOn = program === 'migrate' ? args.splice(0) : [];
if (args.length > 0) {
  console.error(`There is nothing called "${args[0]}" to start, and no such option.\nMore: npm start -- --help`);
  process.exit(2);
}
if (!process.features.require_module) {
  console.error(`Nestor needs Node 20.19 or newer (22.12 or newer in line 22); this is ${process.version}.`);
  process.exit(1);
}
requireInstalledPackages();

const reason = staleness();
if (reason) {
  console.error(`Building first: ${reason}.`);
  const build = join(root, 'scripts', 'build.mjs');
  const { status } = spawnSync(process.execPath, [build, '--runtime-only', '--if-stale'], { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const file = join(root, 'dist', 'src', `${program}.js`);
process.argv = [node, file, ...passedOn];
await import(pathToFileURL(file).href);

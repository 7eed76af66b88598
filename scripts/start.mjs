/**
 * `npm start`: the bundled orchestrator; `npm start -- services`: what it does for all of its processes, in a process of its own.
 * `npm run demo`: the guided tour. `npm run deploy-check`: whether this code could be deployed. Builds first when that is needed.
 *
 * The application is loaded into this very process, so that signals, the exit code and the memory are its own.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { requireInstalledPackages, root, staleness } from './build-inputs.mjs';

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

const [node, , ...args] = process.argv;
const isNamed = ['demo', 'deploy-check', 'services'].includes(args[0]);
const program = join(root, 'dist', 'src', `${isNamed ? args[0] : 'main'}.js`);
process.argv = [node, program, ...(isNamed ? args.slice(1) : args)];
await import(pathToFileURL(program).href);

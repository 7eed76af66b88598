/**
 * Packs the package and follows the quickstart in fresh applications that install it: `npm run test:packages`.
 *
 * The last line is "N passed, N failed": one check per property of the tarball and per application.
 *
 *   --quickstart <file>   another document than README.md
 *   --keep                leave the applications where they are
 *   --only <text>         only applications whose name contains it
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { killCommands, run } from './commands.mjs';
import { followQuickstart, nameOf, readFresh, runningServers } from './host.mjs';
import { countAddedLines, readQuickstart } from './quickstart.mjs';
import { tarballChecks } from './tarball.mjs';

/** The last line of pnpm for Node 20.19; 11 needs Node 22. */
const PNPM = 'pnpm@10.34.9';
const MOST_ADDED_LINES = 15;
const AT_ONCE = 2;

/**
 * Every combination of module system, Nest and package manager. The other columns are spread so that each of their values
 * meets each value of those three. `commonjs` makes TypeScript 5 look packages up as it did before there were `exports`;
 * Nest 12 has to be looked up the new way.
 */
const HOSTS = [
  { nest: 11, modules: 'ESM', module: 'nodenext', manager: 'npm', typescript: '6.0.3', ownPackages: false },
  { nest: 11, modules: 'ESM', module: 'nodenext', manager: 'pnpm', typescript: '5.9.3', ownPackages: true },
  { nest: 11, modules: 'CommonJS', module: 'commonjs', manager: 'npm', typescript: '5.9.3', ownPackages: true },
  { nest: 11, modules: 'CommonJS', module: 'commonjs', manager: 'pnpm', typescript: '6.0.3', ownPackages: false },
  { nest: 12, modules: 'ESM', module: 'nodenext', manager: 'npm', typescript: '6.0.3', ownPackages: true },
  { nest: 12, modules: 'ESM', module: 'nodenext', manager: 'pnpm', typescript: '5.9.3', ownPackages: false },
  { nest: 12, modules: 'CommonJS', module: 'nodenext', manager: 'npm', typescript: '5.9.3', ownPackages: false },
  { nest: 12, modules: 'CommonJS', module: 'nodenext', manager: 'pnpm', typescript: '6.0.3', ownPackages: true },
];

const checkout = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const { values: options } = parseArgs({
  options: {
    quickstart: { type: 'string', default: join(checkout, 'README.md') },
    keep: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
  },
});

const npm = ['npm'];
const work = mkdtempSync(join(tmpdir(), 'nestor-packages-'));
chmodSync(work, 0o755); // as an ordinary project is: others may look in
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    killCommands();
    cleanUp();
    process.exit(130);
  });
}

let passed = 0;
let failed = 0;
try {
  const { tarball, unpacked } = await pack();
  for (const [name, inspect] of Object.entries(tarballChecks(unpacked, checkout))) {
    await check(`the tarball ${name}`, inspect);
  }
  const quickstart = await check(`the quickstart adds no more than ${MOST_ADDED_LINES} lines`, () => {
    const found = readQuickstart(resolve(options.quickstart));
    const added = countAddedLines(found, readFresh);
    if (added > MOST_ADDED_LINES) throw new Error(`It adds ${added} lines.`);
    return found;
  });
  if (quickstart) await followInAllHosts({ quickstart, tarball, managers: { npm, pnpm: await installPnpm() } });
} catch (error) {
  failed += 1;
  console.log(`FAILED: ${error.message}`);
} finally {
  if (options.keep) console.log(`Kept: ${work}`);
  else cleanUp();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

/** Runs one check and reports it; gives what the check gives, or `undefined` when it failed. */
async function check(name, execute) {
  const began = performance.now();
  try {
    const result = await execute();
    const seconds = (performance.now() - began) / 1_000;
    passed += 1;
    console.log(`ok      ${name}${seconds >= 1 ? ` (${seconds.toFixed(0)} s)` : ''}`);
    return result;
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.message.replace(/^/gm, '        ')}`);
    return undefined;
  }
}

async function pack() {
  await run(...npm, ['run', 'build', '--', '--if-stale'], { cwd: checkout });
  const folder = join(work, 'package');
  mkdirSync(folder);
  await run(...npm, ['pack', '--pack-destination', folder], { cwd: checkout });
  const [file] = readdirSync(folder);
  await run('tar', ['-xzf', file], { cwd: folder });

  const unpacked = join(folder, 'package');
  const files = readdirSync(unpacked, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  const kB = (size) => `${Math.round(size / 1_000)} kB`;
  console.log(`${file}: ${files.length} files, ${kB(statSync(join(folder, file)).size)}, unpacked ${kB(bytes)}`);
  return { tarball: join(folder, file), unpacked };
}

async function installPnpm() {
  const folder = join(work, 'pnpm');
  mkdirSync(folder);
  await run(...npm, ['install', '--prefix', folder, '--no-package-lock', PNPM], { cwd: folder });
  return [process.execPath, join(folder, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs')];
}

async function followInAllHosts(given) {
  const queue = HOSTS.filter((host) => nameOf(host).includes(options.only)).entries();
  const follow = async () => {
    for (const [index, host] of queue) {
      const folder = join(work, `host-${index + 1}`);
      await check(nameOf(host), () => followQuickstart(host, folder, given));
      if (!options.keep) remove(folder);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, follow));
}

function cleanUp() {
  for (const entry of readdirSync(work)) remove(join(work, entry));
  rmSync(work, { recursive: true, force: true });
}

/** Stops what a failed application has left running before its files go. */
function remove(folder) {
  for (const pid of runningServers(folder)) {
    try {
      process.kill(pid, 'SIGINT'); // a "fast" shutdown
    } catch {
      // gone already
    }
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './commands.mjs';

const templates = join(fileURLToPath(import.meta.url), '..', 'hosts');

/** What an application that has a database and checks its input already brings along. */
const OWN_PACKAGES = {
  11: {
    '@nestjs/schedule': '6.1.3',
    '@nestjs/typeorm': '11.0.3',
    'class-transformer': '0.5.1',
    'class-validator': '0.14.3',
    pg: '8.16.3', // the oldest that we accept
    typeorm: '1.1.1',
  },
  12: {
    '@nestjs/schedule': '12.0.2',
    '@nestjs/typeorm': '12.0.2',
    'class-transformer': '0.5.1',
    'class-validator': '0.15.1',
    pg: '8.23.1',
    typeorm: '1.1.1',
  },
};

/** Packages that work only when everybody uses the same copy. */
const SHARED = ['@nestjs/common', '@nestjs/core', '@nestjs/typeorm', 'nestor', 'reflect-metadata', 'rxjs', 'typeorm'];
const SHARED_WHERE_USED = ['@nestjs/schedule', 'class-transformer', 'class-validator'];

export function nameOf({ nest, modules, module, manager, typescript, ownPackages }) {
  const kind = ownPackages ? ', with TypeORM, class-validator and schedules of its own' : '';
  return `Nest ${nest}, ${modules} (${module}), ${manager}, TypeScript ${typescript}${kind}`;
}

/** A file of the application before the quickstart; empty when there is none of that name. */
export function readFresh(file) {
  const path = join(templates, 'app', file);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/**
 * Creates an application in `folder`, follows the quickstart in it, and looks at the outcome.
 *
 * @param host a row of the matrix.
 * @param given the quickstart, the tarball, and `managers`: the command of each package manager, as an array.
 * @throws when one step does not do what the quickstart promises.
 */
export async function followQuickstart(host, folder, { quickstart, tarball, managers }) {
  const manager = (...args) => {
    const [command, ...first] = managers[host.manager];
    return run(command, [...first, ...args], { cwd: folder });
  };
  const present = createApplication(host, folder);
  await manager('install');

  const missing = quickstart.packages.filter((name) => !(name in present));
  const output = await manager(
    host.manager === 'npm' ? 'install' : 'add',
    ...missing.map((name) => (name === 'nestor' ? tarball : name)),
  );
  assert.doesNotMatch(output, /(unmet|missing) peer|peer dependencies/i, output);
  if (host.manager === 'npm') await manager('ls'); // fails when a peer is missing or of the wrong version
  assertOneCopyEach(host, folder);

  const probes = ['probe', host.ownPackages ? 'schedule-probe' : 'no-schedule-probe'];
  for (const file of ['main.ts', ...probes.map((name) => `${name}.ts`)])
    copyFileSync(join(templates, file), join(folder, 'src', file));
  for (const [file, text] of quickstart.files) writeFileSync(join(folder, 'src', file), text);
  await manager('run', 'build');
  await run(process.execPath, [join('dist', 'main.js')], { cwd: folder, timeoutMs: 60_000 });
  assertStopped(folder);
  for (const probe of probes) {
    await run(process.execPath, [join('dist', `${probe}.js`)], { cwd: folder, timeoutMs: 60_000 });
    assertStopped(folder);
  }
}

/** What the Nest command line creates, with the versions of this host; gives the packages that are installed with it. */
function createApplication({ nest, modules, module, typescript, ownPackages }, folder) {
  mkdirSync(folder);
  cpSync(join(templates, 'app'), join(folder, 'src'), { recursive: true });

  const manifest = JSON.parse(readFileSync(join(templates, `nest-${nest}`, 'package.json'), 'utf8'));
  manifest.type = modules === 'ESM' ? 'module' : 'commonjs';
  manifest.devDependencies.typescript = typescript;
  if (ownPackages) Object.assign(manifest.dependencies, OWN_PACKAGES[nest]);
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, undefined, 2));

  const settings = JSON.parse(readFileSync(join(templates, 'tsconfig.json'), 'utf8'));
  settings.compilerOptions.module = module;
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(settings, undefined, 2));
  return manifest.dependencies;
}

function assertOneCopyEach({ ownPackages }, folder) {
  const copies = installedCopies(join(folder, 'node_modules'));
  for (const name of [...SHARED, ...(ownPackages ? SHARED_WHERE_USED : [])]) {
    const found = copies.get(name) ?? [];
    assert.equal(found.length, 1, `${found.length} copies of ${name}: ${found.join(', ')}`);
  }
}

/** Every package below a `node_modules` with the folders it is in; links, which pnpm is full of, are no copies. */
function installedCopies(nodeModules, copies = new Map()) {
  for (const entry of readdirSync(nodeModules, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const path = join(nodeModules, entry.name);
    if (entry.name === '.pnpm') {
      for (const name of readdirSync(path)) descend(join(path, name));
    } else if (entry.name.startsWith('@')) {
      for (const scoped of readdirSync(path, { withFileTypes: true })) {
        if (scoped.isDirectory()) add(`${entry.name}/${scoped.name}`, join(path, scoped.name));
      }
    } else if (!entry.name.startsWith('.')) {
      add(entry.name, path);
    }
  }
  return copies;

  function add(name, path) {
    copies.set(name, [...(copies.get(name) ?? []), realpathSync(path)]);
    descend(path);
  }
  function descend(path) {
    if (existsSync(join(path, 'node_modules'))) installedCopies(join(path, 'node_modules'), copies);
  }
}

/** The process ids of the embedded servers that say they run below `folder`. */
export function runningServers(folder) {
  if (!existsSync(join(folder, '.nestor'))) return [];
  return readdirSync(join(folder, '.nestor'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name === 'postmaster.pid')
    .map((entry) => Number.parseInt(readFileSync(join(entry.parentPath, entry.name), 'utf8'), 10));
}

function assertStopped(folder) {
  assert.ok(existsSync(join(folder, '.nestor')), 'there is no .nestor: the embedded server was not used');
  assert.deepEqual(runningServers(folder), [], 'embedded servers that still run, by process id');
}

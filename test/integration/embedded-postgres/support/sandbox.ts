import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

import { transformSync, version, type Options } from '@swc/core';

const REPOSITORY = resolve(__dirname, '../../../..');
const SOURCES = [
  'libs/core/src',
  'libs/orchestrator/src/persistence/embedded-postgres',
  'test/integration/embedded-postgres/support',
];
const CACHE = join(REPOSITORY, 'node_modules/.cache/nestor-test/compiled');
const NATIVE_PACKAGE = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;

/** A directory of its own per test, which everyone may pass through. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'nestor-test-'));
  chmodSync(path, 0o755);
  return path;
}

/**
 * A checkout as a user would have it, with compiled code and the packages it needs: other processes can run from it, as any
 * user, wherever this repository lies. `links: false` leaves out what the binaries' install script makes.
 */
export function createCheckout(path: string, options: { links: boolean } = { links: true }): string {
  for (const source of SOURCES) compile(join(REPOSITORY, source), path);
  for (const name of ['pg', NATIVE_PACKAGE]) install(name, join(path, 'node_modules'), options.links);
  return path;
}

/** The child program of {@link Child} in a checkout. */
export function childProgram(checkout: string): string {
  return join(checkout, 'test/integration/embedded-postgres/support/child-program.js');
}

/** Compiles the sources of a directory of the repository to the same place in the checkout. */
export function compile(source: string, checkout: string): void {
  const settings = JSON.parse(readFileSync(join(REPOSITORY, '.swcrc'), 'utf8')) as Options;
  const swc: Options = { ...settings, swcrc: false, sourceMaps: false, jsc: { ...settings.jsc, baseUrl: REPOSITORY } };
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts') || file.includes('.spec.') || file.includes('sandbox')) continue;
    const from = join(source, file);
    const to = join(checkout, relative(REPOSITORY, from)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, compiled(from, swc));
  }
}

/** What becomes of a source. Many test files compile the same ones: what one has made of a text, the others find. */
function compiled(file: string, swc: Options): string {
  const text = readFileSync(file, 'utf8');
  const key = createHash('sha256')
    .update(JSON.stringify([version, swc, file, text]))
    .digest('hex')
    .slice(0, 32);
  const path = join(CACHE, `${key}.js`);
  if (existsSync(path)) return readFileSync(path, 'utf8');
  const { code } = transformSync(text, { ...swc, filename: file });
  mkdirSync(CACHE, { recursive: true });
  const unfinished = `${path}.${process.pid}`; // test files run side by side, and none is to see half of it
  writeFileSync(unfinished, code);
  renameSync(unfinished, path);
  return code;
}

function install(name: string, nodeModules: string, links: boolean): void {
  const from = join(REPOSITORY, 'node_modules', name);
  const to = join(nodeModules, name);
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, filter: (file) => !file.endsWith('.a') });
  const { dependencies = {} } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  Object.keys(dependencies).forEach((dependency) => install(dependency, nodeModules, links));
  if (name !== NATIVE_PACKAGE) return;
  const listed = JSON.parse(readFileSync(join(from, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of listed) {
    rmSync(join(to, target), { force: true });
    if (links) copyFileSync(join(from, source), join(to, target));
  }
}

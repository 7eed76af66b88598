import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { createDirectory, writePrivateFile } from './directories.js';
import { EmbeddedPostgresClusterMissingError, EmbeddedPostgresDirectoryError } from './errors.js';
import { findObstacle } from './reachability.js';
import { chooseServerUser, runsAsRoot, type ServerUser } from './server-user.js';
import { unlessMissing } from './system-errors.js';

/** Where clusters live whose own directory the server's user cannot enter (only ever used as root). */
const SHARED_STATE = '/var/lib/nestor';
const POINTER = 'location.json';

/** Root's directory may be passed through by the server's user but not listed; an ordinary user needs no one else in it. */
const homeMode = (): number => (runsAsRoot() ? 0o711 : 0o700);

/** The files of a cluster. Only `data`, `socket` and `log` are for the server's user; the rest is ours. */
export interface ClusterHome {
  readonly path: string;
  /** PGDATA. It appears under this name complete or not at all. */
  readonly data: string;
  readonly socket: string;
  readonly log: string;
  /** One file per user of the server, see `cluster-users.ts`. */
  readonly users: string;
  readonly superuserPassword: string;
  readonly applicationPassword: string;
  /** The TCP port in use, where Unix sockets are not. */
  readonly port: string;
  /** Links or copies of the binaries, where the installed ones cannot be used as they are. */
  readonly binaries: string;
  /** Who runs the server; undefined: ourselves. */
  readonly serverUser: ServerUser | undefined;
}

/**
 * Finds or creates the place of the cluster that belongs to `directory`: the directory itself, or, when we are root and the
 * server's user cannot enter it, a place under `/var/lib/nestor` which a file in the directory points to.
 *
 * @throws {EmbeddedPostgresClusterMissingError} when the place pointed to is gone.
 * @throws {EmbeddedPostgresDirectoryError} when neither place can be entered.
 */
export function resolveClusterHome(directory: string, log: (line: string) => void): ClusterHome {
  createDirectory(directory, homeMode());
  const own = realpathSync(directory);
  const pointer = join(own, POINTER);
  const pointedTo = readPointer(pointer);
  if (pointedTo !== undefined) {
    if (!existsSync(join(pointedTo, 'data'))) throw new EmbeddedPostgresClusterMissingError(pointer, pointedTo);
    return homeAt(pointedTo);
  }

  const home = homeAt(own);
  const obstacle = home.serverUser && findObstacle(own, home.serverUser);
  if (obstacle === undefined) return home;
  if (existsSync(home.data)) throw impassable(obstacle, home.serverUser);
  return relocate(own, pointer, obstacle, log);
}

/** Whether a cluster was made for `directory`, there or elsewhere. Creates nothing. */
export function hasCluster(directory: string): boolean {
  return existsSync(join(directory, 'data')) || existsSync(join(directory, POINTER));
}

/** Records that the cluster of `directory` lives elsewhere. Called once it exists, so that a pointer never leads nowhere. */
export function recordLocation(directory: string, home: ClusterHome): void {
  const own = realpathSync(directory);
  const pointer = join(own, POINTER);
  if (home.path === own || existsSync(pointer)) return;
  writePrivateFile(pointer, `${JSON.stringify({ clusterHome: home.path })}\n`);
}

function relocate(own: string, pointer: string, obstacle: string, log: (line: string) => void): ClusterHome {
  // The name depends on the directory alone: processes that start together must arrive at the same place.
  const path = join(SHARED_STATE, createHash('sha256').update(own).digest('hex').slice(0, 16));
  createDirectory(path, homeMode());
  const home = homeAt(path);
  const farObstacle = home.serverUser && findObstacle(path, home.serverUser);
  if (farObstacle !== undefined) throw impassable(farObstacle, home.serverUser);
  log(`uid ${home.serverUser?.uid} cannot enter ${obstacle}: the cluster is kept in ${path}, see ${pointer}`);
  return home;
}

function homeAt(path: string): ClusterHome {
  const data = join(path, 'data');
  const owner = unlessMissing(() => statSync(data));
  return {
    path,
    data,
    socket: join(path, 'socket'),
    log: join(path, 'server.log'),
    users: join(path, 'users'),
    superuserPassword: join(path, 'superuser-password'),
    applicationPassword: join(path, 'application-password'),
    port: join(path, 'port'),
    binaries: join(path, 'binaries'),
    serverUser: chooseServerUser(owner && { uid: owner.uid, gid: owner.gid }),
  };
}

function readPointer(pointer: string): string | undefined {
  const text = unlessMissing(() => readFileSync(pointer, 'utf8'));
  if (text === undefined) return undefined;
  try {
    const { clusterHome } = JSON.parse(text) as { clusterHome?: unknown };
    if (typeof clusterHome === 'string') return clusterHome;
  } catch {
    // Falls through to the same complaint: not a pointer of ours.
  }
  throw new EmbeddedPostgresDirectoryError(pointer, 'it does not say where the cluster is');
}

function impassable(obstacle: string, user: ServerUser | undefined): EmbeddedPostgresDirectoryError {
  return new EmbeddedPostgresDirectoryError(
    obstacle,
    `the server runs as uid ${user?.uid}, which may not enter it (PostgreSQL refuses to run as root)`,
  );
}

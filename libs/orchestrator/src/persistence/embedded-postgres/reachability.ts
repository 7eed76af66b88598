import { existsSync, realpathSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

import type { ServerUser } from './server-user.js';

const READ = 4;
const ENTER_OR_RUN = 1;

/**
 * The first directory on the way to `path`, itself included, that `user` may not enter; `undefined` when there is none.
 * Parts of the path that do not exist yet do not count: whoever creates them decides about them.
 *
 * Permission bits are read rather than tried out, because we ask for somebody else. Access control lists are not looked at.
 */
export function findObstacle(path: string, user: ServerUser): string | undefined {
  return ancestors(realpathSync(nearestExisting(path))).find((directory) => {
    const stats = statSync(directory);
    return stats.isDirectory() && !allows(stats, user, ENTER_OR_RUN);
  });
}

/** Whether `user` may read and run the file at `path` (or list and enter the directory), its parents included. */
export function canReadAndRun(path: string, user: ServerUser): boolean {
  return findObstacle(path, user) === undefined && allows(statSync(path), user, READ | ENTER_OR_RUN);
}

function allows(stats: Stats, user: ServerUser, wanted: number): boolean {
  const shift = stats.uid === user.uid ? 6 : stats.gid === user.gid ? 3 : 0;
  return ((stats.mode >> shift) & wanted) === wanted;
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}

/** From the root down to `path`. */
function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...ancestors(parent), path];
}

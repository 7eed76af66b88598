import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';

import type { OrchestratorError } from '@nestor/core';

import type { Binaries } from './binaries.js';
import type { ClusterHome } from './cluster-home.js';
import {
  EmbeddedPostgresPrivilegeError,
  EmbeddedPostgresStartError,
  EmbeddedPostgresUnavailableError,
} from './errors.js';
import { systemErrorCode } from './system-errors.js';

/**
 * Starts one of PostgreSQL's programs: as the server's user, in the cluster's home (our own working directory may be closed
 * to that user), without a console window, and with nothing of our environment, which may hold secrets or `PG…` variables
 * that would change what the program does. (What Windows programs cannot do without, Node adds.)
 */
export function spawnServerProgram(
  home: ClusterHome,
  binaries: Binaries,
  program: string,
  args: readonly string[],
  options: { stdio: StdioOptions; detached?: boolean },
): ChildProcess {
  return spawn(program, args, {
    ...options,
    cwd: home.path,
    env: { LC_ALL: 'C', TZ: 'UTC', ...binaries.environment },
    ...(home.serverUser && { uid: home.serverUser.uid, gid: home.serverUser.gid }),
    windowsHide: true,
  });
}

/** Names the reason why a program that is installed could not even be started. */
export function cannotRun(home: ClusterHome, platform: string, error: unknown): OrchestratorError {
  switch (systemErrorCode(error)) {
    case 'ENOENT': // the program is there: what is missing is the loader it names, as on Alpine (musl)
    case 'ENOEXEC':
      return new EmbeddedPostgresUnavailableError(
        platform,
        'the binaries do not run on this system (they need glibc)',
        { cause: error },
      );
    case 'EPERM':
      return new EmbeddedPostgresPrivilegeError('this root may not become another user', { cause: error });
    default:
      return new EmbeddedPostgresStartError(home.path, 'the program cannot be run', [], { cause: error });
  }
}

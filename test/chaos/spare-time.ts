import { fork, spawnSync, type ChildProcess, type ForkOptions } from 'node:child_process';

/** Whoever steps back may come forward again only with the rights of root; elsewhere nobody steps back. */
const maySpare =
  process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('chrt', ['--version']).status === 0;

/**
 * Starts a program in the time that others leave (`SCHED_IDLE`), all threads of it.
 *
 * A process that starts takes a core for a second. In the field that is a core of its own; here it would be one of those whose
 * times are measured. A low priority (`nice`) is not enough: it has a process wait less often, but not less long, as whoever has
 * been given a core keeps it for some milliseconds.
 */
export function forkInSpareTime(file: string, args: readonly string[], options: ForkOptions): ChildProcess {
  const { execPath } = process;
  return fork(file, args, maySpare ? { ...options, execPath: 'chrt', execArgv: ['--idle', '0', execPath] } : options);
}

/** From now on it counts as much as the others. */
export function standAlongside({ pid }: ChildProcess): void {
  if (maySpare && pid !== undefined) spawnSync('chrt', ['--all-tasks', '--other', '--pid', '0', String(pid)]);
}

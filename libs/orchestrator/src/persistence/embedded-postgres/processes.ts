import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/**
 * A text that is the same for a process as long as it lives and differs for a later one with the same pid; `undefined` when
 * no such process runs. It is made of the time the process started (and of the boot, which that time counts from).
 *
 * Windows does not tell cheaply; a reused pid then passes for the old process.
 */
export function identifyProcess(pid: number): string | undefined {
  if (process.platform === 'linux') return identifyOnLinux(pid);
  if (process.platform === 'darwin') return askPs(['-o', 'lstart=', '-p', String(pid)])?.replace(/[^A-Za-z0-9]+/g, '-');
  try {
    process.kill(pid, 0);
    return 'running';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'running' : undefined;
  }
}

function identifyOnLinux(pid: number): string | undefined {
  const stat = readProc(`${pid}/stat`);
  if (stat === undefined) return undefined;
  // Fields after the parenthesised name, which may itself hold spaces and parentheses: the 3rd of all is the first here.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state] = fields;
  const startedAt = fields[19]; // the 22nd, in clock ticks since boot: proc_pid_stat(5)
  // A zombie has ended; it only waits for a parent, which in a container may never ask for it.
  if (state === 'Z' || state === 'X' || startedAt === undefined) return undefined;
  return `${bootId()}-${startedAt}`;
}

let knownBootId: string | undefined;
function bootId(): string {
  try {
    return (knownBootId ??= readFileSync(BOOT_ID, 'utf8').trim());
  } catch {
    return (knownBootId = 'boot'); // some sandboxes hide it
  }
}

/**
 * Whether `pid` is a live postmaster of the data directory `data` (a resolved path), and not a
 * process that got its pid later.
 */
export function isPostmasterOf(data: string, pid: number): boolean {
  if (identifyProcess(pid) === undefined) return false;
  if (process.platform === 'linux') return workingDirectory(pid) === data || commandLine(pid).includes(`\0${data}\0`);
  if (process.platform === 'darwin') return askPs(['-o', 'command=', '-p', String(pid)])?.includes(data) ?? false;
  return true;
}

/**
 * Live processes whose command line fulfils `matches`; arguments are separated by NUL on Linux, by spaces on macOS. Empty on
 * other platforms.
 */
export function findProcesses(matches: (commandLine: string) => boolean): number[] {
  if (process.platform === 'darwin') {
    const lines = askPs(['-axo', 'pid=,command='])?.split('\n') ?? [];
    return lines.filter((line) => matches(line.replace(/^\s*\d+\s+/, ''))).map((line) => Number.parseInt(line, 10));
  }
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => matches(commandLine(pid)) && identifyProcess(pid) !== undefined);
}

/** Sends a signal to a process that may have ended in the meantime. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended, which is what was wanted.
  }
}

/** Unknown without the right to trace the process: root in a container usually lacks it. */
function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function commandLine(pid: number): string {
  return readProc(`${pid}/cmdline`) ?? '';
}

function readProc(name: string): string | undefined {
  try {
    return readFileSync(`/proc/${name}`, 'utf8');
  } catch {
    return undefined; // ended, between being listed and being read if need be
  }
}

function askPs(args: readonly string[]): string | undefined {
  try {
    return execFileSync('ps', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim() || undefined;
  } catch {
    return undefined;
  }
}

import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppProcess, type AppProcessOptions } from './app-process.js';

/** Processes and directories of one test file; `end()` leaves nothing of them. */
export class Scene {
  private readonly directories: string[] = [];
  private readonly processes: AppProcess[] = [];

  directory(): string {
    const path = mkdtempSync(join(tmpdir(), 'nestor-e2e-'));
    chmodSync(path, 0o755); // root starts the server as another user, who has to get in
    this.directories.push(path);
    return path;
  }

  start(options: AppProcessOptions): AppProcess {
    const app = new AppProcess(options);
    this.processes.push(app);
    return app;
  }

  /** `npm run demo` */
  demo(options: AppProcessOptions): AppProcess {
    return this.start({ ...options, args: ['demo'] });
  }

  async end(): Promise<void> {
    await Promise.all(this.processes.splice(0).map((app) => app.kill()));
    for (const directory of this.directories.splice(0)) {
      for (const home of [directory, join(directory, '.nestor')]) {
        const pid = postmasterPid(home);
        if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGQUIT');
      }
      rmSync(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    }
  }
}

/** The embedded server of a home; `null` when there is none, or when it was stopped in order. */
export function postmasterPid(home: string): number | null {
  try {
    return Number.parseInt(readFileSync(join(home, 'postgres/data/postmaster.pid'), 'utf8'), 10);
  } catch {
    return null;
  }
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { waitFor } from '../../support/wait-for.js';

const REPOSITORY = resolve(__dirname, '../../..');
const START = resolve(REPOSITORY, 'scripts/start.mjs');

/** How long anything may take on a busy machine. */
export const PATIENCE_MS = 60_000;

export interface AppProcessOptions {
  /** The working directory; the repository by default, whose packages are then audited. */
  readonly cwd?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The bundled orchestrator as users start it, in a process group of its own, with nothing of our environment. */
export class AppProcess {
  stdout = '';
  stderr = '';
  readonly exit: Promise<Exit>;
  private readonly process: ChildProcess;

  constructor({ cwd = REPOSITORY, env, args = [] }: AppProcessOptions) {
    this.process = spawn(process.execPath, [START, ...args], {
      cwd,
      detached: true,
      env: { PATH: process.env.PATH, NO_COLOR: '1', NESTOR_PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    // Not "exit": what was printed last may still be on its way then.
    this.exit = once(this.process, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Standard error, without the word on the build, which whoever comes first in a fresh checkout has to wait for. */
  get errors(): string {
    return this.stderr.replace(/^(Building first: |Waiting for another build ).*\n/gm, '');
  }

  /** The lines of standard output. */
  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1);
  }

  /** Waits for a line of standard output; fails with everything printed so far when the process ends before. */
  async line(pattern: RegExp): Promise<string> {
    return waitFor(() => {
      const line = this.lines.find((each) => pattern.test(each));
      if (line === undefined && this.hasEnded)
        throw new Error(`Ended without ${pattern}:\n${this.stdout}${this.stderr}`);
      return line;
    }, PATIENCE_MS);
  }

  /** Waits until it is ready, and gives the URL it prints. */
  async ready(): Promise<string> {
    const line = await this.line(/Ready in \d+ ms: /);
    return /https?:\/\/[^/]+/.exec(line)![0];
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.process.kill(signal);
    return this.exit;
  }

  /** As the terminal does it for Ctrl-C: every process of the group is told. */
  interrupt(): void {
    process.kill(-this.pid, 'SIGINT');
  }

  async kill(): Promise<void> {
    if (this.hasEnded) return;
    await this.stop('SIGKILL');
  }
}

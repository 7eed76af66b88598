import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compile } from '../../embedded-postgres/support/sandbox.js';
import type { Order, Report } from './preparing-program.js';

const REPOSITORY = resolve(__dirname, '../../../..');
const SUPPORT = 'test/integration/persistence/support';

/** The library, compiled into a directory of its own, for processes to run; the packages are those of the repository. */
export class CompiledLibrary {
  private readonly path = mkdtempSync(join(tmpdir(), 'nestor-test-'));

  constructor() {
    for (const source of ['libs/core/src', 'libs/orchestrator/src', 'migrations', SUPPORT]) {
      compile(join(REPOSITORY, source), this.path);
    }
    symlinkSync(join(REPOSITORY, 'node_modules'), join(this.path, 'node_modules'), 'junction');
  }

  get program(): string {
    return join(this.path, SUPPORT, 'preparing-program.js');
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A Node process of its own that prepares a database when it is told to. */
export class PreparingProcess {
  private constructor(private readonly process: ChildProcess) {}

  /** Resolves when everything is loaded. */
  static async start(library: CompiledLibrary): Promise<PreparingProcess> {
    const started = new PreparingProcess(fork(library.program, [], { execArgv: [] }));
    await started.nextReport();
    return started;
  }

  async prepare(url: string): Promise<Report> {
    const reported = this.nextReport();
    this.process.send({ url } satisfies Order);
    return reported;
  }

  /** Lets go of the process and gives its exit code: it ends by itself when nothing of ours keeps it alive. */
  async end(): Promise<number | null> {
    const exited = once(this.process, 'exit') as Promise<[number | null]>;
    this.process.disconnect();
    return (await exited)[0];
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exited;
  }

  private async nextReport(): Promise<Report> {
    const exited = once(this.process, 'exit').then(() => Promise.reject(new Error('the process ended')));
    exited.catch(() => undefined);
    const [report] = (await Promise.race([once(this.process, 'message'), exited])) as [Report];
    return report;
  }
}

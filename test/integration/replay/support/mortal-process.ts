import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { compile } from '../../embedded-postgres/support/sandbox.js';
import { waitFor } from '../../../support/wait-for.js';
import type { Order, Report } from './dying-program.js';

const REPOSITORY = resolve(__dirname, '../../../..');
const SUPPORT = 'test/integration/replay/support';

/** The compiled program, in a directory of its own; the packages are those of the repository. */
export class CompiledProgram {
  private readonly path = mkdtempSync(join(tmpdir(), 'nestor-test-'));

  constructor() {
    for (const source of ['libs/core/src', 'libs/orchestrator/src', 'migrations']) {
      compile(join(REPOSITORY, source), this.path);
    }
    compile(join(REPOSITORY, SUPPORT), this.path);
    symlinkSync(join(REPOSITORY, 'node_modules'), join(this.path, 'node_modules'), 'junction');
  }

  get file(): string {
    return join(this.path, SUPPORT, 'dying-program.js');
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A Node process of its own, which executes flow runs until it is killed. */
export class MortalProcess {
  private readonly reports: Report[] = [];
  readonly exited: Promise<unknown[]>;

  private constructor(private readonly process: ChildProcess) {
    this.exited = once(process, 'exit');
    process.on('message', (report: Report) => this.reports.push(report));
  }

  static start(program: CompiledProgram, order: Order): MortalProcess {
    const child = fork(program.file, [], { execArgv: [] });
    child.send(order);
    return new MortalProcess(child);
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** The id of the run that it was told to begin. */
  async began(): Promise<string> {
    const report = await waitFor(() => this.reports.find((one) => typeof one === 'object'), 20_000);
    return report.began;
  }

  /** Resolves when its run has come to where it waits. */
  async waiting(): Promise<void> {
    await waitFor(() => this.reports.includes('waiting'), 20_000);
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.exited;
  }
}

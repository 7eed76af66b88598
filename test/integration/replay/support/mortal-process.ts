import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { CompiledProgram } from '../../../support/compiled-program.js';
import { waitFor } from '../../../support/wait-for.js';
import type { Order, Report } from './dying-program.js';

/** A Node process of its own, which executes runs until it is killed. */
export class MortalProcess {
  private readonly reports: Report[] = [];
  readonly exited: Promise<unknown[]>;

  private constructor(private readonly process: ChildProcess) {
    this.exited = once(process, 'exit');
    process.on('message', (report: Report) => this.reports.push(report));
  }

  static start<What extends object = Order>(program: CompiledProgram, order: What): MortalProcess {
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

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Duration, OrchestratorOptions, WorkerPoolOptions } from '@nestor/orchestrator';
import type { CompiledProgram } from '../../../support/compiled-program.js';
import type { Order } from './isolated.module.js';

/** What a worker of a test is told. */
export interface WorkerOrder extends Omit<OrchestratorOptions, 'worker'> {
  readonly pools: readonly WorkerPoolOptions[];
  readonly killGrace?: Duration;
  readonly isBroken?: boolean;
}

/** A process that serves pools, started from a compiled program. */
export class WorkerProcess {
  /** What it has printed. */
  output = '';
  readonly ended: Promise<unknown[]>;

  private constructor(private readonly child: ChildProcess) {
    this.ended = once(child, 'exit');
    child.stdout?.on('data', (text: Buffer) => (this.output += String(text)));
    child.stderr?.on('data', (text: Buffer) => (this.output += String(text)));
  }

  static async start(program: CompiledProgram, order: WorkerOrder): Promise<WorkerProcess> {
    const { pools, killGrace = '30s', isBroken = false, ...options } = order;
    const application = join(dirname(program.file), 'isolated.module.js');
    const told: Order = {
      isBroken,
      options: { ...options, worker: { pools, unqueued: false, application, killGrace } },
    };
    const child = fork(program.file, [], {
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ISOLATED: JSON.stringify(told), NO_COLOR: '1' },
    });
    const worker = new WorkerProcess(child);
    const failed = worker.ended.then(() => Promise.reject(new Error(`The worker did not start: ${worker.output}`)));
    await Promise.race([once(child, 'message'), failed]);
    failed.catch(() => undefined);
    return worker;
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Ends it in order, or by force. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.child.kill(signal);
    await this.ended;
  }
}

/** Whether there is a process of that id; one that has ended and that nobody has asked for counts as none. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

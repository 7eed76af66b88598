import { hostname } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { Inject, Injectable } from '@nestjs/common';
import { RunLogs } from '../../engine/run-logs.js';
import type { JobEnd } from '../base-worker.js';
import { NEST_THREAD_TYPE, WORKER_SETTINGS, type WorkerSettings } from '../worker-settings.js';
import { IsolatingWorker, type PlaceSettings, type RunPlace } from './isolating-worker.js';
import { isolationTemplate } from './isolation-template.js';
import type { HostOrder, RunNews } from './messages.js';

const RUN_THREAD_FILE = join(__dirname, 'run-thread.main.js');

/** Executes each run in a thread of its own, which is ended by force when it does not end by itself. */
@Injectable()
export class NestThreadWorker extends IsolatingWorker {
  readonly type = NEST_THREAD_TYPE;
  override readonly baseJobTemplate = isolationTemplate({});

  constructor(logs: RunLogs, @Inject(WORKER_SETTINGS) settings: WorkerSettings | null) {
    super(logs, settings);
  }

  protected async open({ env, maxHeapMb }: PlaceSettings, hear: (news: RunNews) => void): Promise<RunPlace> {
    const thread = new Worker(RUN_THREAD_FILE, {
      env,
      stdout: true,
      stderr: true,
      ...(maxHeapMb !== null && { resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } }),
    });
    const { threadId } = thread;
    let failure: Error | null = null;
    thread.on('error', (error) => (failure = error));
    thread.on('message', (news: RunNews) => hear(news));
    const ended = new Promise<JobEnd>((resolve) =>
      thread.once('exit', (exitCode) =>
        resolve({ exitCode, ...(failure && { message: `Its thread ended: ${String(failure)}` }) }),
      ),
    );
    const tell = (order: HostOrder): void => thread.postMessage(order);
    return {
      identifier: `${hostname()}:${process.pid}:${threadId}`,
      stdout: thread.stdout,
      stderr: thread.stderr,
      ended,
      begin: tell,
      stop: () => tell({ kind: 'stop' }),
      destroy: () => void thread.terminate(),
    };
  }
}

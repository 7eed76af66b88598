import { fork } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { RunLogs } from '../../engine/run-logs.js';
import { withinMs } from '../../engine/wait-until.js';
import type { JobEnd } from '../base-worker.js';
import { NEST_PROCESS_TYPE, WORKER_SETTINGS, type WorkerSettings } from '../worker-settings.js';
import { IsolatingWorker, type PlaceSettings, type RunPlace } from './isolating-worker.js';
import type { RunNews } from './messages.js';
import { isolationTemplate } from './isolation-template.js';

const RUN_PROCESS_FILE = join(__dirname, 'run-process.main.js');
/** How long what it said may take to arrive, once it has ended. */
const LAST_NEWS_MS = 1_000;

/** Executes each run in a process of its own, which is ended by force when it does not end by itself. */
@Injectable()
export class NestProcessWorker extends IsolatingWorker {
  readonly type = NEST_PROCESS_TYPE;
  override readonly baseJobTemplate = isolationTemplate({
    working_dir: { type: 'string', title: 'Working directory', description: 'Default: that of the worker.' },
    temporary_dir: {
      type: 'boolean',
      title: 'Temporary directory',
      description: 'Whether it gets an empty working directory, which is gone when the run is.',
      default: false,
    },
  });

  constructor(logs: RunLogs, @Inject(WORKER_SETTINGS) settings: WorkerSettings | null) {
    super(logs, settings);
  }

  protected async open({ env, maxHeapMb }: PlaceSettings, hear: (news: RunNews) => void): Promise<RunPlace> {
    const child = fork(RUN_PROCESS_FILE, [String(process.pid)], {
      env,
      execArgv: [...inheritedArguments(), ...(maxHeapMb === null ? [] : [`--max-old-space-size=${maxHeapMb}`])],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const silent = new Promise<void>((resolve) => child.once('disconnect', resolve));
    const ended = new Promise<JobEnd>((resolve) =>
      child.once('exit', (exitCode, signal) => {
        void withinMs(silent, LAST_NEWS_MS).then(() => resolve({ exitCode, signal }));
      }),
    );
    child.on('message', (news: RunNews) => hear(news));
    await once(child, 'spawn');
    child.on('error', () => undefined); // it is gone already, and what is sent there is of no use any more
    return {
      identifier: `${hostname()}:${child.pid}`,
      stdout: child.stdout!,
      stderr: child.stderr!,
      ended,
      begin: (order) => void (child.connected && child.send(order)),
      stop: () => void child.kill('SIGTERM'),
      destroy: () => void child.kill('SIGKILL'),
    };
  }
}

/** Two processes cannot be debugged on one port. */
function inheritedArguments(): string[] {
  return process.execArgv.filter((argument) => !argument.startsWith('--inspect'));
}

// The thread of a run: what `NestThreadWorker` starts.
import 'reflect-metadata';
import { parentPort } from 'node:worker_threads';
import { withinMs } from '../../engine/wait-until.js';
import { IsolatedRun } from './isolated-run.js';
import type { HostOrder, RunNews } from './messages.js';

const LAST_LINES_MS = 1_000;
const port = parentPort;

/** What was printed leaves a thread by way of the event loop. */
const printed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => stream.write('', () => resolve()));

const run = new IsolatedRun({
  tell: (news: RunNews) => port?.postMessage(news),
  end: (exitCode) => {
    const lines = Promise.all([printed(process.stdout), printed(process.stderr)]);
    void withinMs(lines, LAST_LINES_MS).then(() => process.exit(exitCode));
  },
});

port?.on('message', (order: HostOrder) => void (order.kind === 'stop' ? run.stop() : run.begin(order)));

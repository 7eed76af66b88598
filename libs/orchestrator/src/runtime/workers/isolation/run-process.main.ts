// The process of a run: what `NestProcessWorker` starts. Its argument is the id of the process that starts it.
import 'reflect-metadata';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { IsolatedRun } from './isolated-run.js';
import type { HostOrder, RunNews } from './messages.js';

// First of all: whatever happens here, this process ends with the one that started it.
const watch = new Worker(join(__dirname, 'host-watch.thread.js'), {
  workerData: Number(process.argv[2]),
  execArgv: [],
});
watch.unref();

/** What was told and has not left. */
let leaving: Promise<void> = Promise.resolve();

const run = new IsolatedRun({
  tell(news: RunNews): void {
    if (!process.connected) return;
    const left = new Promise<void>((resolve) => process.send?.(news, undefined, undefined, () => resolve()));
    leaving = leaving.then(() => left);
  },
  end(exitCode: number): void {
    void leaving.then(() => process.exit(exitCode));
  },
});

process.on('message', (order: HostOrder) => {
  if (order.kind === 'stop') return void run.stop();
  if (order.isTemporary) watch.postMessage(order.directory);
  void run.begin(order);
});
process.on('disconnect', () => void run.stop()); // whoever started it is gone
process.on('SIGTERM', () => void run.stop());
// A terminal sends these to all processes of the application; what becomes of the runs is for their worker to say.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);

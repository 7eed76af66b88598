// Runs in a worker thread of its own in the process of a run, so that this ends with the process that started it even where
// its event loop stands still. It is loaded as a file, and imports nothing of ours.
import { rmSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const LOOK_EVERY_MS = 250;
/** How long the run may take to hand itself back. */
const PATIENCE_MS = 2_000;

const hostPid = workerData as number;
let directory: string | null = null;
let goneAt: number | null = null;

parentPort?.on('message', (temporary: string) => (directory = temporary));

setInterval(() => {
  if (process.ppid === hostPid) return; // a process whose parent has died is given another
  goneAt ??= performance.now();
  if (performance.now() - goneAt < PATIENCE_MS) return;
  if (directory !== null) rmSync(directory, { recursive: true, force: true });
  process.kill(process.pid, 'SIGKILL');
}, LOOK_EVERY_MS);

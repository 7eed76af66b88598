import { join } from 'node:path';

/** The compiled module that runs in the thread. */
export const LEASE_THREAD_FILE = join(__dirname, 'lease-keeper.thread.js');

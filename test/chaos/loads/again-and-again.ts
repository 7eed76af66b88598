import { setTimeout as pause } from 'node:timers/promises';
import type { Users } from './kinds.js';

const AFTER_FAILURE_MS = 200;

/** Users who each do the same again and again, whatever comes of it. */
export function againAndAgain(users: number, useOnce: () => Promise<void>, report: (problem: string) => void): Users {
  let quiet = false;
  const serve = async (): Promise<void> => {
    while (!quiet) {
      try {
        await useOnce();
      } catch (error) {
        report(`A user met an error: ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
        await pause(AFTER_FAILURE_MS);
      }
    }
  };
  for (let user = 0; user < users; user += 1) void serve();
  return { quiesce: () => (quiet = true) };
}

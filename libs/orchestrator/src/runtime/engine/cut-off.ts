import { LeaseLostError } from '../leases/run-lease.js';
import { RunCancelledError, RunEndedError, RunHandedBackError, RunSuspendedError } from './engine-errors.js';

/** What a call gets whose run is over, or goes on elsewhere. */
const CUT_OFF = [RunEndedError, RunCancelledError, RunHandedBackError, RunSuspendedError, LeaseLostError] as const;

/**
 * A call that nobody awaits is cut off when its run ends. Node ends a process in which nobody handles a rejection, and a
 * forgotten `await` must not take all the other runs down; whoever does await gets the error as ever.
 */
export function quietWhenCutOff<T>(call: Promise<T>): Promise<T> {
  const quiet = new Promise<T>((resolve, reject) => {
    call.then(resolve, (error: unknown) => {
      if (CUT_OFF.some((type) => error instanceof type)) quiet.catch(() => undefined);
      reject(error);
    });
  });
  return quiet;
}

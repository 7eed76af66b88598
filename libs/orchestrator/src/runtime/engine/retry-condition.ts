import type { RunSettings } from '../registry/definitions.js';
import { stackOf } from './outcome.js';

/** A run of which an attempt has failed. */
interface TriedRun {
  readonly created: { readonly name: string };
  readonly image: { readonly runCount: number };
}

/**
 * Whether an attempt that failed is worth another, by the condition of its flow or task. That is asked only while retries remain;
 * what it throws is no reason to try again.
 *
 * @param args what the method was called with; called when the condition is.
 * @param log takes a line about a condition that failed.
 */
export async function isWorthRetrying(
  { retryCondition, policy }: Pick<RunSettings, 'retryCondition' | 'policy'>,
  { created, image }: TriedRun,
  error: unknown,
  args: () => readonly unknown[] | Promise<readonly unknown[]>,
  log: (message: string) => void,
): Promise<boolean> {
  if (!retryCondition || image.runCount > policy.retries) return true;
  try {
    const failedAttempt = { attempt: image.runCount, args: (await args()) as never, runName: created.name };
    return await retryCondition(error, failedAttempt);
  } catch (failure) {
    log(`Its retryCondition failed. ${stackOf(failure)}`);
    return false;
  }
}

import type { RetryPolicy } from '../transitions/run.js';
import type { FactName } from '../transitions/facts.js';

/**
 * The pause before the attempt that follows attempt `runCount`, in milliseconds; zero when none was asked for.
 *
 * @param random from 0 to just under 1: where in the range that jitter allows the pause lies. The middle is the pause
 * itself, so that retries with and without jitter take equally long on average.
 */
export function retryDelayMs(policy: RetryPolicy, runCount: number, random = 0.5): number {
  const delays = policy.retryDelaysMs;
  const delayMs = delays[Math.min(runCount, delays.length) - 1] ?? 0;
  return spread(delayMs, policy.retryJitter ?? 0, random);
}

/** `ms`, moved by at most the share `jitter` of it, never below zero. Evenly spread, so that runs that failed together part. */
export function spread(ms: number, jitter: number, random: number): number {
  return Math.max(0, ms * (1 + jitter * (2 * random - 1)));
}

/** The facts that a retry rule decides by: a lot is drawn only where one is needed. */
export function factsOfRetry({ run }: { readonly run: { readonly policy: RetryPolicy } }): readonly FactName[] {
  return (run.policy.retryJitter ?? 0) > 0 ? ['random'] : [];
}

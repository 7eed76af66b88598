import { constants } from 'node:os';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** npm passes on to its child what the terminal has sent there already; nobody is that impatient. */
const SAME_REQUEST_MS = 1_000;

/**
 * Aborted as soon as somebody asks this process to stop: from now on a signal no longer ends it by itself, so that what
 * has been started (an embedded server, runs) can be ended in order. Who asks again later ends the process at once.
 */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  let askedAt = Infinity;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (performance.now() - askedAt > SAME_REQUEST_MS) process.exit(128 + constants.signals[signal]);
      askedAt = Math.min(askedAt, performance.now());
      stop.abort();
    });
  }
  return stop.signal;
}

/** Resolves once it is aborted; at once when it is already. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until `condition` holds, looking again every few milliseconds, and gives what it returned.
 *
 * @throws when it does not hold within `timeoutMs`, with the source of the condition in the message.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, null | undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, null | undefined | false>;
    if (performance.now() > deadline) throw new Error(`Not within ${timeoutMs} ms: ${condition.toString()}`);
    await pause(2);
  }
}

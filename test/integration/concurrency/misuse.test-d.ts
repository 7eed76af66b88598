// What must not compile, and what must: checked by `npm run check:types`, never run.
import {
  concurrency,
  rateLimit,
  type ConcurrencyLeases,
  type ConcurrencyLimits,
  type ConcurrencyTimeoutError,
} from '@nestor/orchestrator';

export async function holding(limits: ConcurrencyLimits, error: ConcurrencyTimeoutError): Promise<unknown[]> {
  const text: string = await concurrency('a', async () => 'done');
  const count: number = await concurrency(['a', 'b'], 2, async ({ limits: held, signal }) => {
    signal.throwIfAborted();
    return held.length;
  });
  await concurrency(
    'a',
    { occupy: 2, timeout: '1m', strict: true, leaseDuration: '1m', onLeaseLost: 'abort' },
    async () => 1,
  );
  await rateLimit('a', { occupy: 2, timeout: 0, strict: true });
  await limits.concurrency('a', { maxRetries: 0 }, async () => 1);

  // @ts-expect-error what holds slots is awaited
  await concurrency('a', () => 'done');
  // @ts-expect-error there is nothing to do
  await concurrency('a', 2);
  // @ts-expect-error its value has another type
  const wrong: number = await concurrency('a', async () => 'done');
  // @ts-expect-error a name is a text
  await concurrency(1, async () => 'done');
  // @ts-expect-error a duration has a unit
  await concurrency('a', { timeout: 'soon' }, async () => 'done');
  // @ts-expect-error there are two ways
  await concurrency('a', { onLeaseLost: 'ignore' }, async () => 'done');
  // @ts-expect-error a rate holds nothing
  await rateLimit('a', { leaseDuration: '1m' });
  // @ts-expect-error nor does it do anything
  await rateLimit('a', async () => 'done');
  // @ts-expect-error errors tell, and are not written to
  error.slots = 2;
  return [text, count, wrong];
}

export async function managing(limits: ConcurrencyLimits, leases: ConcurrencyLeases): Promise<unknown> {
  await limits.create('a', { limit: 1, slotDecayPerSecond: 0.5, active: false });
  await limits.update('a', { name: 'b' });
  // @ts-expect-error a limit has a limit
  await limits.create('a', { slotDecayPerSecond: 1 });
  // @ts-expect-error which is a number
  await limits.create('a', { limit: '1' });
  const answer = await leases.acquire({ limits: ['a'], holder: { id: 1 } });
  // @ts-expect-error it may have been refused
  const id: string = answer.leaseId;
  if (answer.kind === 'granted') return answer.leaseId;
  const retryAfterMs: number = answer.retryAfterMs;
  return [id, retryAfterMs];
}

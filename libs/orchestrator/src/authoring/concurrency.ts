import { onlySlots } from '../runtime/concurrency/ambient-slots.js';
import { slotRequest, type ConcurrencyOptions, type RateLimitOptions } from '../runtime/concurrency/slot-options.js';
import type { SlotBlocking, SlotHold } from '../runtime/concurrency/slot-blocking.js';
import { quietOnceOver } from '../runtime/engine/in-attempt.js';
import { currentScope } from '../runtime/engine/run-scope.js';

type Work<T> = (held: SlotHold) => Promise<T>;

/**
 * Runs `work` while it holds slots of concurrency limits: one of each, or as many as are asked for. Of several limits it
 * takes all at once or none, so that nobody waits in a circle. Where slots are not free it stands in line; they are handed
 * to whoever has waited longest.
 *
 * The slots are given back when `work` settles, and are free when its process dies. When the attempt around it is over (a
 * timeout, a cancellation) its signal fires, and the slots are given back once it settles, at most `cancelGrace` later.
 *
 * Names without a limit, or with one that is not active, do not limit anything; a warning says so. Outside any run the limits are
 * those of the only application in this process; where there is none, in a unit test, `work` is just called.
 *
 * In the body of a flow that begins again, slots are taken again.
 *
 * @example
 * ```ts
 * const rows = await concurrency('database', () => this.orders.query(sql));
 * await concurrency(['gpu', 'licences'], { occupy: 2, timeout: '10m' }, ({ signal }) => this.render(scene, signal));
 * ```
 * @throws {ConcurrencyTimeoutError} when the slots were not to be had in time; `work` was not called.
 * @throws {TooManySlotsError} when a limit has fewer slots than are asked for, {@link UnknownConcurrencyLimitError}
 * when `strict` is given and a name is not that of a limit, {@link SlotsLostError} when they are lost and
 * `onLeaseLost` is `'abort'`.
 * @throws {RunEndedError} and its like when the attempt is over, {@link EngineStoppingError} when the application shuts down.
 * @throws {InvalidSlotOptionError} and {@link InvalidDurationError} when an option cannot be meant, {@link AmbiguousEngineError}
 * outside any run when several applications run in this process: inject {@link ConcurrencyLimits} there.
 */
export function concurrency<T>(names: string | readonly string[], work: Work<T>): Promise<T>;
export function concurrency<T>(names: string | readonly string[], occupy: number, work: Work<T>): Promise<T>;
export function concurrency<T>(
  names: string | readonly string[],
  options: ConcurrencyOptions,
  work: Work<T>,
): Promise<T>;
export function concurrency<T>(
  names: string | readonly string[],
  ...rest: [Work<T>] | [number | ConcurrencyOptions, Work<T>]
): Promise<T> {
  const [options, work] = rest.length === 1 ? [1, rest[0]] : rest;
  return unlessUnheard(async () => {
    const request = slotRequest(names, options);
    const slots = slotsHere();
    return slots ? slots.hold(request, work) : work({ limits: [], signal: new AbortController().signal });
  });
}

/**
 * Waits until it is its turn by the rate limits: concurrency limits whose slots decay. It takes slots and does not give them
 * back; they come back with time. Turns are given in order.
 *
 * In the body of a flow that begins again, it does not wait again for what it had waited for. Names without a limit do not limit
 * anything; see {@link concurrency} for that, and for what holds outside any run.
 *
 * @example
 * ```ts
 * for (const customer of customers) {
 *   await rateLimit('mail-provider');
 *   await this.mail(customer);
 * }
 * ```
 * @throws {NoSlotDecayError} when the slots of one of the limits do not decay.
 * @throws {ConcurrencyTimeoutError}, {@link TooManySlotsError}, {@link UnknownConcurrencyLimitError} and the others as
 * {@link concurrency} does.
 */
export function rateLimit(names: string | readonly string[], options: RateLimitOptions = {}): Promise<void> {
  return unlessUnheard(async () => {
    const request = slotRequest(names, options, true);
    await slotsHere()?.pass(request);
  });
}

/** Nobody has to await what is cut off with the attempt around it. */
function unlessUnheard<T>(work: () => Promise<T>): Promise<T> {
  return quietOnceOver(currentScope()?.attempt, work());
}

function slotsHere(): SlotBlocking | null {
  const scope = currentScope();
  return scope ? scope.place.services.slots : onlySlots();
}

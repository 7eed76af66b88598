import { AmbiguousEngineError } from '../registry/registry-errors.js';
import type { SlotBlocking } from './slot-blocking.js';

// Outside any run there is no telling whose limits are meant, unless one application runs in this process.
const running = new Set<SlotBlocking>();

/** Notes that the limits of an application are there to be asked for; returns how to take that back. */
export function bindSlots(slots: SlotBlocking): () => void {
  running.add(slots);
  return () => running.delete(slots);
}

/**
 * The limits of the only application in this process; `null` when there is none.
 *
 * @throws {AmbiguousEngineError} when there are several.
 */
export function onlySlots(): SlotBlocking | null {
  const [only = null, ...others] = running;
  if (others.length > 0) throw new AmbiguousEngineError('concurrency()');
  return only;
}

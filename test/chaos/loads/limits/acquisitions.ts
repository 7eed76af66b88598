import { Slots } from '../../../../libs/orchestrator/src/runtime/concurrency/slots.service.js';
import type { Witness } from '../../witness.js';

/** Has written down when slots were there for whoever asked: the body begins within the same turn of the event loop. */
export function noteAcquisitions(witness: Witness): void {
  const { acquire } = Slots.prototype;
  Slots.prototype.acquire = async function (...args) {
    const held = await acquire.apply(this, args);
    // Milliseconds with their fractions; nobody waits until it is written.
    const at = performance.timeOrigin + performance.now();
    if (held)
      void witness.write({ kind: 'acquired', claim: held.claimId, process: held.processId, pid: process.pid }, at);
    return held;
  };
}

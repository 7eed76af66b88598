import { addMicros, type Instant } from '../time/instant.js';

/**
 * An instant somewhat later, by up to `maxJitterMs` milliseconds (excluded): always the same for the same seed, so that
 * every node has the same in mind, and evenly spread over seeds and instants.
 *
 * @param seed what is to be spread: the id of a schedule.
 */
export function jittered(instant: Instant, maxJitterMs: number, seed: string): Instant {
  return addMicros(instant, Math.floor(fraction(`${seed}@${instant}`) * maxJitterMs * 1_000));
}

/** Two rounds of FNV-1a with MurmurHash3's last step, which spreads what differs in the last characters only. */
function fraction(text: string): number {
  return (hash(text, 0x811c9dc5) * 2 ** 21 + (hash(text, 0x9747b28c) >>> 11)) / 2 ** 53;
}

function hash(text: string, seed: number): number {
  let h = seed;
  for (let index = 0; index < text.length; index++) h = Math.imul(h ^ text.charCodeAt(index), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

import { createHash, randomFillSync } from 'node:crypto';

/**
 * A new time-ordered UUID (version 7, RFC 9562): 48 bits of milliseconds, then a counter that keeps ids of one process
 * in order within a millisecond, then randomness. Ids made one after another sort in that order, so that they land side
 * by side in the index, and a week of them is one partition.
 */
export function newId(): string {
  const now = Date.now();
  // Twelve bits of counter: when a millisecond runs out of them, the next one is borrowed (RFC 9562, 6.2, method 1).
  if (now > lastMs) {
    lastMs = now;
    counter = 0;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = 0;
  }
  return formatId(lastMs, counter, randomHex());
}

/**
 * The id that belongs to `name` within `parentId`: always the same for the same two, and in the parent's millisecond, so
 * that parent and child are kept, and dropped, together.
 */
export function derivedId(parentId: string, name: string): string {
  const hash = createHash('sha256').update(`${parentId}\0${name}`).digest('hex');
  return formatId(msOfId(parentId), parseInt(hash.slice(0, 3), 16), hash.slice(3, 19));
}

/** A new id in the millisecond of another, so that what they name is kept, and dropped, together. */
export function newIdBeside(id: string): string {
  return derivedId(id, newId());
}

/** The milliseconds since the epoch at which a time-ordered id was made. */
export function msOfId(id: string): number {
  return parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

let lastMs = 0;
let counter = 0;

/** Lays out 48 bits of time, 12 bits, and 64 bits of which the first two give way to the variant: 62 of them count. */
function formatId(ms: number, twelveBits: number, hex16: string): string {
  const time = ms.toString(16).padStart(12, '0');
  const high = twelveBits.toString(16).padStart(3, '0');
  const variant = ((parseInt(hex16.charAt(0), 16) & 0b0011) | 0b1000).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${high}-${variant}${hex16.slice(1, 4)}-${hex16.slice(4)}`;
}

// Randomness is drawn for many ids at once: a system call per id would cost more than the id.
const pool = Buffer.alloc(8 * 512);
let poolOffset = pool.length;

function randomHex(): string {
  if (poolOffset === pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  poolOffset += 8;
  return pool.toString('hex', poolOffset - 8, poolOffset);
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a text has the form of an id; PostgreSQL refuses to compare one that has not. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

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
  return freshId(lastMs, counter);
}

/**
 * The id that belongs to `name` within `parentId`: always the same for the same two, and in the parent's millisecond, so
 * that parent and child are kept, and dropped, together.
 */
export function derivedId(parentId: string, name: string): string {
  const hash = createHash('sha256').update(`${parentId}\0${name}`).digest('hex');
  return formatId(msOfId(parentId), parseInt(hash.slice(0, 3), 16), hash.slice(3, 19));
}

/** The id that belongs to a name: always the same (version 8, RFC 9562, which leaves the bits to us). */
export function idOfName(name: string): string {
  const hash = createHash('sha256').update(name).digest('hex');
  const variant = ((parseInt(hash.charAt(15), 16) & 0b0011) | 0b1000).toString(16);
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(12, 15)}-${variant}${hash.slice(16, 19)}-${hash.slice(19, 31)}`;
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

// Four ids are made for every task: written as characters in place, an id is one string and nothing to collect besides.
const text = Buffer.from('00000000-0000-7000-8000-000000000000', 'latin1');
const HEX = Buffer.from('0123456789abcdef', 'latin1');
/** Where the 16 digits after the counter stand. */
const RANDOM_PLACES = [19, 20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35];
let writtenMs = -1;

/** The same as {@link formatId} with random bits. */
function freshId(ms: number, twelveBits: number): string {
  if (ms !== writtenMs) {
    text.write(ms.toString(16).padStart(12, '0').replace(/^.{8}/, '$&-'), 0, 'latin1');
    writtenMs = ms;
  }
  text[15] = digit(twelveBits >>> 8);
  text[16] = digit(twelveBits >>> 4);
  text[17] = digit(twelveBits);
  const random = randomOffset();
  for (let place = 0; place < 8; place += 1) {
    const byte = pool[random + place] ?? 0;
    text[RANDOM_PLACES[2 * place] ?? 0] = digit(byte >>> 4);
    text[RANDOM_PLACES[2 * place + 1] ?? 0] = digit(byte);
  }
  text[19] = digit((((pool[random] ?? 0) >>> 4) & 0b0011) | 0b1000);
  return text.toString('latin1');
}

function digit(value: number): number {
  return HEX[value & 0xf] ?? 0;
}

// Randomness is drawn for many ids at once: a system call per id would cost more than the id.
const pool = Buffer.alloc(8 * 512);
let poolOffset = pool.length;

/** Where the next eight random bytes are. */
function randomOffset(): number {
  if (poolOffset === pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  poolOffset += 8;
  return poolOffset - 8;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a text has the form of an id; PostgreSQL refuses to compare one that has not. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

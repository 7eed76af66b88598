import type { ClassRegistry } from './class-registry.js';
import { Encoder } from './encoder.js';

/**
 * One text for all values that are equal as data, for hashing: the inputs of a task call, the key of a cache.
 *
 * Like `encode`, except that
 * - the order of keys does not matter, and a field that is `undefined` equals an absent one (in an array it does not);
 * - maps and sets are sorted too: parallel work fills them in the order in which it happens to finish;
 * - errors have no `stack`, whose lines and paths change when code is edited.
 *
 * `0` and `-0` differ, as do `1`, `1n` and `"1"`. Two values whose encoding is the same have the same text: an instance
 * of a class that is not among `classes` equals its plain data.
 *
 * @returns `null` when the value cannot be encoded, for example because it contains a function. Never throws. The text is
 * made for comparing and hashing; `decode` is not promised to read it.
 */
export function canonicalText(value: unknown, { classes }: { readonly classes?: ClassRegistry } = {}): string | null {
  if (Array.isArray(value) && value.every(isPlainCell)) return JSON.stringify(value); // the inputs of most calls
  try {
    return JSON.stringify(new Encoder({ subject: 'value', classes, canonical: true }).encode(value));
  } catch {
    return null;
  }
}

/** What JSON has a word for that means nothing else. */
function isPlainCell(cell: unknown): boolean {
  switch (typeof cell) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(cell) && !Object.is(cell, -0);
    default:
      return cell === null;
  }
}

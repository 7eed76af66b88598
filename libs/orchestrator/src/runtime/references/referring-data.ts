import { Reference } from './reference.js';

/** Deeper than parameters can be kept. */
const MAX_DEPTH = 1_000;

/** A reference in plain data. */
interface PlacedReference {
  readonly reference: Reference<unknown>;
  /** Where it is: `items[2].sku`, as problems with parameters are told. Two may be told alike, where names have dots. */
  readonly path: string;
}

/** The references in plain data. */
export function referencesIn(value: unknown): readonly PlacedReference[] {
  const found: PlacedReference[] = [];
  visit(value, '', 0, found);
  return found;
}

function visit(value: unknown, path: string, depth: number, found: PlacedReference[]): void {
  if (value instanceof Reference) found.push({ reference: value, path });
  else if (depth > MAX_DEPTH) return;
  else if (Array.isArray(value)) value.forEach((item, index) => visit(item, `${path}[${index}]`, depth + 1, found));
  else if (isPlain(value)) {
    for (const [name, field] of Object.entries(value)) {
      visit(field, path === '' ? name : `${path}.${name}`, depth + 1, found);
    }
  }
}

/** The same data with values in the place of references; what has none of them stays the same object. */
export function withValues(value: unknown, values: ReadonlyMap<Reference<unknown>, unknown>): unknown {
  if (value instanceof Reference) return values.has(value) ? values.get(value) : value;
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => withValues(item, values));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!isPlain(value)) return value;
  const fields = Object.entries(value).map(([name, field]) => [name, field, withValues(field, values)] as const);
  if (fields.every(([, before, after]) => before === after)) return value;
  return Object.fromEntries(fields.map(([name, , after]) => [name, after]));
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

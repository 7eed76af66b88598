/**
 * The version of the text `encode` writes. It is stored with every run, so that a later release keeps reading what an
 * earlier one wrote and never changes the hash of an input while its run is in flight. It grows when a tag changes its
 * meaning or an untagged value its text; a new tag alone does not change it.
 */
export const encodingVersion = 1;

/** How many arrays, objects, maps, sets and errors may contain each other. */
export const MAX_DEPTH = 1_000;

/** The key that marks an object as the encoding of something JSON has no word for: `{"$nestor":"date","value":…}`. */
export const TAG = '$nestor';

/**
 * What may stand behind the tag key. `object` is the escape for ordinary objects that have a key of that name themselves.
 * `payload` is not among them: it is the envelope that may take the place of a whole text, and stands in none.
 */
export type Tag =
  | 'undefined'
  | 'number'
  | 'bigint'
  | 'string'
  | 'object'
  | 'date'
  | 'map'
  | 'set'
  | 'regexp'
  | 'url'
  | 'binary'
  | 'class'
  | 'error';

/** An encoded value that is more than JSON. */
export interface Tagged {
  readonly [TAG]: Tag;
  readonly [part: string]: unknown;
}

export function tagged(tag: Tag, value: unknown): Tagged {
  return { [TAG]: tag, value };
}

/** Any own, enumerable, writable property: unlike an assignment it cannot reach the prototype through `__proto__`. */
export function define(target: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    (target as Record<string, unknown>)[key] = value;
  }
}

/**
 * Keeps values away from class-transformer that it would damage. It copies every object by calling the constructor without
 * arguments and assigning its fields: a `URL` throws, a `RegExp` comes out empty, a `Set` as a list, a `Map` without its
 * values, and an instance that a codec has made loses what is private to it.
 */
export class HeldValues {
  private readonly byPlaceholder = new Map<unknown, object>();
  private readonly values = new WeakSet<object>();

  /** The data with a placeholder in the place of every such value; changes the data. */
  hide(data: unknown): unknown {
    if (typeof data !== 'object' || data === null || isCopiedWell(data)) return data;
    if (!Array.isArray(data) && !isPlain(data)) return this.placeholderOf(data);
    this.replaceIn(data as Record<string, unknown>, (value) => this.hide(value));
    return data;
  }

  /** Whether it is a value that was kept away. */
  has(value: unknown): boolean {
    return typeof value === 'object' && value !== null && this.values.has(value);
  }

  /** Puts the values back into what was made of the data. */
  restore(result: unknown): void {
    if (this.byPlaceholder.size > 0) this.restoreIn(result, new Set());
  }

  private restoreIn(result: unknown, seen: Set<unknown>): void {
    if (typeof result !== 'object' || result === null || seen.has(result)) return;
    seen.add(result);
    this.replaceIn(result as Record<string, unknown>, (value) => {
      const held = this.byPlaceholder.get(value);
      if (held === undefined) this.restoreIn(value, seen);
      return held ?? value;
    });
  }

  private replaceIn(container: Record<string, unknown>, replacement: (value: unknown) => unknown): void {
    for (const key of Object.keys(container)) {
      const value = container[key];
      const other = replacement(value);
      if (other !== value) container[key] = other;
    }
  }

  /** A function, which is the one thing besides primitives that is passed on as it is. */
  private placeholderOf(value: object): () => object {
    const placeholder = (): object => value;
    this.byPlaceholder.set(placeholder, value);
    this.values.add(value);
    return placeholder;
  }
}

function isCopiedWell(value: object): boolean {
  return value instanceof Date || Buffer.isBuffer(value);
}

/** An object that is nothing but its fields. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

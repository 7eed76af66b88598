import { createHash } from 'node:crypto';
import { canonicalText } from '@nestor/core';

/**
 * A part of a run within which calls are told apart: the body itself, or one item of a mapped list.
 *
 * The key of a call is made of its branch, its inputs and, for calls that are equal in both, their order. It never
 * depends on how branches interleave, nor on where in the source the call stands.
 */
export class Branch {
  private readonly occurrences = new Map<string, number>();

  constructor(private readonly path: string) {}

  /** The branch of one item of the list that this branch maps with `call`. */
  item(call: string, index: number): Branch {
    return new Branch(`${this.path}/${call}[${index}]`);
  }

  /** A name that is unique among the calls of the same kind in this branch, in their order. */
  nextName(kind: string): string {
    return `${kind}#${this.count(kind)}`;
  }

  /** The key of the next call of `callee` with these inputs: equal again when the run is replayed. */
  keyOf(callee: string, args: readonly unknown[]): string {
    const inputs = canonicalText(args);
    // Inputs without a canonical form (functions, cycles) can be told apart only by the order of their calls.
    if (inputs === null) return `o${this.count(`${callee}\0order`)}-${this.pathHash()}`;
    const hash = createHash('sha256').update(this.path).update('\0').update(inputs).digest('base64url').slice(0, 22);
    return `${hash}-${this.count(`${callee}\0${hash}`)}`;
  }

  private pathHash(): string {
    return createHash('sha256').update(this.path).digest('base64url').slice(0, 22);
  }

  private count(of: string): number {
    const before = this.occurrences.get(of) ?? 0;
    this.occurrences.set(of, before + 1);
    return before;
  }
}

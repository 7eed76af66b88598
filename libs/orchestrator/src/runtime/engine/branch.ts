import { createHash } from 'node:crypto';
import { canonicalText, type ClassRegistry } from '@nestor/core';

/**
 * A part of a run within which calls are told apart: the body itself, or one item of a mapped list.
 *
 * The key of a call is made of its branch, its inputs and, for calls that are equal in both, their order. It never
 * depends on how branches interleave, nor on where in the source the call stands.
 */
export class Branch {
  /** @param occurrences how often each call was made so far, in this branch and in those of its items. */
  constructor(
    private readonly path: string,
    private readonly occurrences = new Map<string, number>(),
  ) {}

  /**
   * The branch of one item of a list that is mapped here. Items of several lists share it by their index: numbering the
   * lists would make the keys depend on which of two parallel branches comes to its list first.
   */
  item(index: number): Branch {
    return new Branch(`${this.path}[${index}]`, this.occurrences);
  }

  /** The key of the next call of `callee` with these inputs: equal again when the run is replayed. */
  keyOf(callee: string, args: readonly unknown[], classes?: ClassRegistry): string {
    const inputs = canonicalText(args, { classes });
    // Inputs without a canonical form (functions, cycles) can be told apart only by the order of their calls.
    if (inputs === null) return `o${this.count(`${callee}\0${this.path}\0order`)}-${this.pathHash()}`;
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

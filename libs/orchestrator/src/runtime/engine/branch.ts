import { hash } from 'node:crypto';
import { canonicalText, type ClassRegistry } from '@nestor/core';

/** Enough of a hash to tell apart the scopes of one run. */
export const SCOPE_LENGTH = 11;
/** Enough of a hash to tell apart the inputs of the calls of one task within one scope. */
const INPUTS_LENGTH = 16;

/**
 * A part of a run within which calls are told apart: the body itself, one item of a mapped list, or a named branch.
 *
 * The key of a call is made of its scope, its inputs and, for calls that are equal in both, their order. It never depends
 * on how branches interleave, nor on where in the source the call stands.
 */
export class Branch {
  private ownScope: string | null = null;

  /** @param occurrences how often each call was made so far, in this branch and in its parts. Made with the first call. */
  private constructor(
    private readonly path: string,
    private readonly occurrences: Occurrences = { counts: null },
  ) {}

  /** The body of a flow. */
  static ofFlow(): Branch {
    return new Branch('');
  }

  /** The body of a task, in one of its attempts: what an attempt called is called anew by the next. */
  static ofTask({ taskKey, dynamicKey }: { taskKey: string; dynamicKey: string }, attempt: number): Branch {
    return new Branch(`${taskKey}:${dynamicKey}#${attempt}`);
  }

  /** Which part of the run this is: the first half of the keys of its calls. */
  get scope(): string {
    return (this.ownScope ??= shortHash(this.path, SCOPE_LENGTH)); // most tasks call nothing
  }

  /**
   * The branch of one item of a list that is mapped here. Items of several lists share it by their index: numbering the
   * lists would make the keys depend on which of two parallel branches comes to its list first.
   */
  item(index: number): Branch {
    return new Branch(`${this.path}[${index}]`, this.occurrences);
  }

  /** The branch of that name within this one. */
  named(name: string): Branch {
    return new Branch(`${this.path}/${encodeURIComponent(name)}`, this.occurrences);
  }

  /** The key of the next call of `callee` with these inputs: equal again when the run is replayed. */
  keyOf(callee: string, args: readonly unknown[], classes?: ClassRegistry): string {
    const inputs = canonicalText(args, { classes });
    // Inputs without a canonical form (functions, cycles) can be told apart only by the order of their calls.
    const key = `${this.scope}.${inputs === null ? 'order' : shortHash(inputs, INPUTS_LENGTH)}`;
    return `${key}-${this.count(`${callee}\0${key}`)}`;
  }

  /** The key of the next call of `callee` that was given this name. */
  keyNamed(callee: string, name: string): string {
    const key = `${this.scope}.key:${shortHash(name, INPUTS_LENGTH)}`;
    return `${key}-${this.count(`${callee}\0${key}`)}`;
  }

  /** The key of the next value of that kind that is drawn here. */
  keyOfValue(kind: string): string {
    return `${this.scope}.${kind}-${this.count(`\0${this.scope}.${kind}`)}`;
  }

  private count(of: string): number {
    const counts = (this.occurrences.counts ??= new Map<string, number>());
    const before = counts.get(of) ?? 0;
    counts.set(of, before + 1);
    return before;
  }
}

interface Occurrences {
  counts: Map<string, number> | null;
}

/** The scope a key was made in. */
export function scopeOfKey(dynamicKey: string): string {
  return dynamicKey.slice(0, SCOPE_LENGTH);
}

function shortHash(text: string, length: number): string {
  return hash('sha256', text, 'base64url').slice(0, length);
}

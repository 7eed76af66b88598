import type { FairShare } from '../../records/flow-runs/waiting-flow-run-rows.js';
import { InvalidRunOptionError } from '../engine/new-run-options.js';

/** How runs that wait in the same place take turns. */
export interface FairnessOptions {
  /**
   * Runs of the flow with the same key share a line where they wait, and the lines take turns: a key that has thousands of
   * runs there holds up no other. Runs without a key go by turns with those that have one. 1 to 200 characters. Default:
   * that of the deployment; else none.
   */
  readonly fairnessKey?: string;
  /**
   * How many turns the key gets for one of a key with weight 1, from 0.001 to 1000, from this run on.
   * Only with a key. Default 1.
   */
  readonly fairnessWeight?: number;
}

const KEY = /^[^\0]{1,200}$/su;
const LEAST_WEIGHT = 0.001;
const MOST_WEIGHT = 1_000;

/** What weights may be, for messages. */
export const WEIGHTS = `a number from ${LEAST_WEIGHT} to ${MOST_WEIGHT}`;

export function isFairnessKey(key: unknown): boolean {
  return typeof key === 'string' && KEY.test(key);
}

export function isWeight(weight: unknown): boolean {
  return typeof weight === 'number' && weight >= LEAST_WEIGHT && weight <= MOST_WEIGHT;
}

/**
 * @returns `null` when no key is given.
 * @throws {InvalidRunOptionError} when they cannot be meant.
 */
export function checkedShare({ fairnessKey: key, fairnessWeight: weight }: FairnessOptions): FairShare | null {
  if (key === undefined) {
    if (weight === undefined) return null;
    throw new InvalidRunOptionError('fairnessWeight', 'is that of a key, and "fairnessKey" does not say of which.');
  }
  if (!isFairnessKey(key)) {
    throw new InvalidRunOptionError('fairnessKey', 'must have 1 to 200 characters and no NUL among them.');
  }
  if (weight !== undefined && !isWeight(weight)) {
    throw new InvalidRunOptionError('fairnessWeight', `is ${weight} and must be ${WEIGHTS}.`);
  }
  return { key, weight: weight ?? 1 };
}

import { inspect, isDeepStrictEqual } from 'node:util';
import { failureMessage } from '../engine/outcome.js';
import type { BodyEnd } from './rehearse.js';

/** Inputs are shown up to this length: they are there to be recognised. */
const MAX_EXCERPT = 200;

/** `("A-7", { urgent: true })`: what a call was given, for messages. */
export function excerptOf(args: readonly unknown[]): string {
  const text = args.map((arg) => inspect(arg, { depth: 3, breakLength: Infinity, maxStringLength: 60 })).join(', ');
  return `(${text.length > MAX_EXCERPT ? `${text.slice(0, MAX_EXCERPT)}…` : text})`;
}

/** `returned 7`, `threw Error: no`. */
export function describeEnd(end: BodyEnd): string {
  return end.kind === 'returned'
    ? `returned ${excerptOf([end.value]).slice(1, -1)}`
    : `threw ${failureMessage(end.error)}`;
}

/** Whether two bodies ended alike: values are compared as data, errors by name and message. */
export function isSameEnd(one: BodyEnd, other: BodyEnd): boolean {
  if (one.kind === 'returned') return other.kind === 'returned' && isDeepStrictEqual(one.value, other.value);
  return other.kind === 'threw' && failureMessage(one.error) === failureMessage(other.error);
}

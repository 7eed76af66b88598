import { StateType } from '@nestor/core';
import type { Token } from '../witness.js';
import { linesOf, tokensIn, type Evidence, type LineOf } from './evidence.js';
import type { Findings, Violation } from './violation.js';

/** Witnesses have whole milliseconds, cut off: what began within one may have begun before or after. */
const CLOCK_MS = 1;

/** A proof that an execution of a step was recorded by then: nobody gets a token that is not. */
interface Proof {
  readonly exec: string;
  readonly at: number;
  readonly by: string;
}

/**
 * I2: what completed is not executed again, and what came of it does not change.
 *
 * That a completion was recorded is known from two sources: the commit of its `COMPLETED` state, and everybody who was given
 * its token: a later task as its input, a client as its result. An execution whose record was lost with its process is
 * proved by neither, and may be followed by another one.
 */
export function findRepeatedCalls(evidence: Evidence): Pick<Findings, 'violations' | 'executions' | 'reExecuted'> {
  const proofs = gatherProofs(evidence);
  const starts = linesOf(evidence, 'start');
  const violations: Violation[] = [];

  for (const [step, known] of proofs) {
    const execs = new Set(known.map(({ exec }) => exec));
    if (execs.size > 1) {
      const what = `${step} completed as ${known.map(({ exec, at, by }) => `${exec} (${by}, ${time(at)})`).join(' and as ')}`;
      violations.push({ invariant: 'I2', what });
    }
  }
  const repeated = starts.filter((start) => {
    const proof = proofs.get(keyOf(start))?.find(({ at }) => start.at > at + CLOCK_MS);
    if (!proof) return false;
    const what =
      `${keyOf(start)} began as ${start.exec} at ${time(start.at)} in process ${start.process}, ` +
      `although it had completed as ${proof.exec} by ${time(proof.at)} (${proof.by})`;
    violations.push({ invariant: 'I2', what });
    return true;
  });
  violations.push(...startedTwice(starts), ...drawnTwice(starts, proofs));
  return { violations, executions: starts.length, reExecuted: repeated.length };
}

/** Of each step, the first proof that each source gives for each execution. */
function gatherProofs(evidence: Evidence): Map<string, Proof[]> {
  const proofs = new Map<string, Proof[]>();
  const prove = (token: Token, at: number, by: string): void => {
    const key = keyOf(token);
    const known = proofs.get(key) ?? [];
    if (!known.some(({ exec }) => exec === token.exec)) known.push({ exec: token.exec, at, by });
    proofs.set(key, known);
  };
  const all: [Token, number, string][] = [];
  for (const start of linesOf(evidence, 'start')) {
    for (const token of start.saw) all.push([token, start.at, `input of ${start.step}`]);
  }
  for (const { run, saw, at } of linesOf(evidence, 'result')) {
    for (const token of saw) all.push([token, at, `result of ${run}`]);
  }
  for (const { id, stateType, outcome } of evidence.taskRuns.values()) {
    const completed = evidence.taskStates.get(id)?.find(({ type }) => type === StateType.Completed);
    if (stateType !== StateType.Completed || !completed) continue;
    for (const token of tokensIn(outcome)) all.push([token, completed.committedAt, `task run ${id}`]);
  }
  for (const { id, stateType, outcome } of evidence.flowRuns.values()) {
    const completed = evidence.flowStates.get(id)?.find(({ type }) => type === StateType.Completed);
    if (stateType !== StateType.Completed || !completed) continue;
    for (const token of tokensIn(outcome)) all.push([token, completed.committedAt, `flow run ${id}`]);
  }
  for (const [token, at, by] of all.sort(([, one], [, other]) => one - other)) prove(token, at, by);
  return proofs;
}

/** What may run at most once began at most once, whether it completed or not. */
function startedTwice(starts: readonly LineOf<'start'>[]): Violation[] {
  const counts = new Map<string, number>();
  for (const start of starts.filter(({ atMostOnce }) => atMostOnce)) {
    counts.set(keyOf(start), (counts.get(keyOf(start)) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count > 1)
    .map(([step, count]) => ({ invariant: 'I2', what: `${step} may run at most once and began ${count} times` }));
}

/** What a flow drew from outside is the same for all of its calls that are recorded. */
function drawnTwice(starts: readonly LineOf<'start'>[], proofs: ReadonlyMap<string, readonly Proof[]>): Violation[] {
  const drawn = new Map<string, string>();
  const violations: Violation[] = [];
  for (const start of starts) {
    if (!proofs.get(keyOf(start))?.some(({ exec }) => exec === start.exec)) continue;
    for (const [name, value] of Object.entries(start.drew)) {
      const key = `${start.run} ${name}`;
      const text = String(value);
      const before = drawn.get(key);
      if (before !== undefined && before !== text) {
        violations.push({ invariant: 'I2', what: `run ${start.run} drew ${name} as ${before} and as ${text}` });
      }
      drawn.set(key, text);
    }
  }
  return violations;
}

function keyOf({ run, step }: Pick<Token, 'run' | 'step'>): string {
  return `${step} of ${run}`;
}

function time(ms: number): string {
  return new Date(ms).toISOString().slice(11);
}

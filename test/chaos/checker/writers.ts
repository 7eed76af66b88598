import { StateType } from '@nestor/core';
import { linesOf, tokensIn, type Evidence } from './evidence.js';
import type { Violation } from './violation.js';

/** A completion, which process it is of, and when it was committed. */
interface Write {
  readonly step: string;
  readonly root: string;
  readonly process: string;
  readonly committedAt: number;
}

/**
 * I3: one process at a time writes a run, and none that is fenced.
 *
 * Who wrote a completion is told by the execution it names. A process commits nothing after the fence around it; and
 * between completions by two processes the run was let go, which its history shows.
 */
export function findForeignWriters(evidence: Evidence): Violation[] {
  const violations: Violation[] = [];
  const byRoot = new Map<string, Write[]>();
  for (const write of completionsOf(evidence)) {
    const fencedAt = evidence.fencedAt.get(write.process);
    if (fencedAt !== undefined && write.committedAt > fencedAt) {
      const lateMs = (write.committedAt - fencedAt).toFixed(1);
      const what = `process ${write.process} wrote ${write.step} of run ${write.root} ${lateMs} ms after it was fenced`;
      violations.push({ invariant: 'I3', what });
    }
    byRoot.set(write.root, [...(byRoot.get(write.root) ?? []), write]);
  }
  for (const [root, writes] of byRoot) violations.push(...unannouncedChanges(root, writes, evidence));
  return violations;
}

function unannouncedChanges(root: string, writes: readonly Write[], { flowStates }: Evidence): Violation[] {
  const lettingGo = (flowStates.get(root) ?? []).filter(({ type }) => type === StateType.Scheduled);
  const inOrder = [...writes].sort((one, other) => one.committedAt - other.committedAt);
  return inOrder.flatMap((write, index): Violation[] => {
    const before = inOrder[index - 1];
    if (!before || before.process === write.process) return [];
    // In one commit with the completion is early enough: a process writes what it has done and lets the run go at once.
    const letGo = lettingGo.some(
      (state) => state.committedAt >= before.committedAt && state.committedAt <= write.committedAt,
    );
    if (letGo) return [];
    const what = `run ${root} went from process ${before.process} (${before.step}) to ${write.process} (${write.step}) without being let go`;
    return [{ invariant: 'I3', what }];
  });
}

function completionsOf(evidence: Evidence): Write[] {
  const processes = new Map(linesOf(evidence, 'start').map(({ exec, process }) => [exec, process]));
  return [...evidence.taskRuns.values()].flatMap(({ id, flowRunId, taskKey, stateType, outcome }): Write[] => {
    // A task run that stands for a subflow has the result of that.
    if (stateType !== StateType.Completed || taskKey.startsWith('flow:')) return [];
    const completed = evidence.taskStates.get(id)?.find(({ type }) => type === StateType.Completed);
    const [token] = tokensIn(outcome);
    const process = token && processes.get(token.exec);
    const root = flowRunId === null ? undefined : evidence.flowRuns.get(flowRunId)?.root;
    if (!completed || !process || root === undefined) return [];
    return [{ step: token.step, root, process, committedAt: completed.committedAt }];
  });
}

import { isTerminal, StateType } from '@nestor/core';
import { LEFT_SUSPENDED } from '../loads/engine/left-suspended.js';
import { linesOf, type Evidence, type StoredFlowRun } from './evidence.js';
import type { Findings, Violation } from './violation.js';

/** I1: every acknowledged run has ended, as its code does, or waits for somebody who was asked to resume it. */
export function findLostRuns(evidence: Evidence): Pick<Findings, 'violations' | 'acknowledged' | 'states' | 'lost'> {
  const violations: Violation[] = [];
  const states: Record<string, number> = {};
  const cancelled = new Set(linesOf(evidence, 'cancel').map(({ run }) => run));
  const acknowledged = linesOf(evidence, 'acknowledged');
  let lost = 0;
  for (const { run: id, flow, expected } of acknowledged) {
    const run = evidence.flowRuns.get(id);
    const type = run?.stateType ?? null;
    states[type ?? 'GONE'] = (states[type ?? 'GONE'] ?? 0) + 1;
    if (!run || type === null || !(isTerminal(type) || waits(run))) {
      lost += 1;
      violations.push({ invariant: 'I1', what: `run ${id} (${flow}) is ${type ?? 'gone'}: ${storyOf(id, evidence)}` });
    } else if (isTerminal(type) && type !== expected && !(type === StateType.Cancelled && cancelled.has(id))) {
      const what = `run ${id} (${flow}) is ${type} instead of ${expected}: ${String(run.outcome)}; ${storyOf(id, evidence)}`;
      violations.push({ invariant: 'I1', what });
    }
  }
  return { violations: [...violations, ...leftOpen(evidence)], acknowledged: acknowledged.length, states, lost };
}

function waits({ stateType, tags }: StoredFlowRun): boolean {
  return stateType === StateType.Paused && tags.includes(LEFT_SUSPENDED);
}

/** What belongs to a run that has ended has ended, too. */
function leftOpen({ flowRuns, taskRuns }: Evidence): Violation[] {
  const hasEnded = (type: StateType | null | undefined): boolean => type != null && isTerminal(type);
  const violations: Violation[] = [];
  for (const { id, root, stateType } of flowRuns.values()) {
    if (id !== root && !hasEnded(stateType) && hasEnded(flowRuns.get(root)?.stateType)) {
      violations.push({
        invariant: 'I1',
        what: `subflow run ${id} is ${stateType}, but its root run ${root} has ended`,
      });
    }
  }
  for (const { id, flowRunId, taskKey, stateType } of taskRuns.values()) {
    const flowRun = flowRunId === null ? undefined : flowRuns.get(flowRunId);
    if (!hasEnded(stateType) && hasEnded(flowRun?.stateType)) {
      const what = `task run ${id} (${taskKey}) is ${stateType}, but flow run ${flowRunId} is ${flowRun?.stateType}`;
      violations.push({ invariant: 'I1', what });
    }
  }
  return violations;
}

function storyOf(id: string, { flowStates }: Evidence): string {
  return (flowStates.get(id) ?? []).map(({ name, message }) => (message ? `${name} (${message})` : name)).join(' → ');
}

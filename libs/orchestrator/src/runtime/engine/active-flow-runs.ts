import { Injectable } from '@nestjs/common';
import type { LiveFlowRun } from '../transitions/live-run.js';
import type { Attempt } from './attempt.js';
import type { PauseGate } from './pause-gate.js';

/** A flow run that this process executes at present. */
export interface ActiveFlowRun {
  readonly live: LiveFlowRun;
  readonly gate: PauseGate;
  /** Around all of its attempts: what ends this ends the run here. */
  readonly whole: Attempt;
  /** The attempt that is under way; `null` between two. */
  attempt: Attempt | null;
  /** Resolves when the run is no longer executed here. Never rejects. */
  readonly ended: Promise<void>;
}

/** The flow runs that this process executes, by id. */
@Injectable()
export class ActiveFlowRuns {
  private readonly runs = new Map<string, ActiveFlowRun>();

  /** Notes a run; the function that is returned takes it off again. */
  add(
    live: LiveFlowRun,
    gate: PauseGate,
    whole: Attempt,
  ): { readonly active: ActiveFlowRun; readonly remove: () => void } {
    const { id } = live.created;
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => (end = resolve));
    const active: ActiveFlowRun = { live, gate, whole, attempt: null, ended };
    this.runs.set(id, active);
    const remove = (): void => {
      if (this.runs.get(id) === active) this.runs.delete(id);
      end();
    };
    return { active, remove };
  }

  find(flowRunId: string): ActiveFlowRun | undefined {
    return this.runs.get(flowRunId);
  }

  all(): readonly ActiveFlowRun[] {
    return [...this.runs.values()];
  }

  get size(): number {
    return this.runs.size;
  }
}

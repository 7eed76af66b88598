import { Injectable } from '@nestjs/common';
import { Transactions, type Tx } from '../../persistence/transactions.js';
import {
  ExpiredFlowRunsRepository,
  type FlowRunPage,
  type FlowRunScan,
} from '../../records/retention/expired-flow-runs.repository.js';
import { ExpiredTaskRunsRepository } from '../../records/retention/expired-task-runs.repository.js';
import type { RetentionPass, RetentionStep } from './retention-pass.js';
import { RunRemains } from './run-remains.service.js';

/** Runs that are looked at with one statement; those within them come on top. */
const PAGE = 200;

type Scan = (tx: Tx, scan: FlowRunScan) => Promise<FlowRunPage>;

/**
 * Removes runs that have ended longer ago than they are kept, one page after another, oldest first.
 *
 * A flow run goes with all within it, or stays with all of it. It goes first, and what may be too much for one statement goes
 * after it: task runs, log lines, artifacts. Whose those are is noted with the very statement that removes the run, and until
 * nothing is left of them; a pass that is killed in between leaves that to the next one.
 */
@Injectable()
export class ExpiredRuns {
  constructor(
    private readonly flowRuns: ExpiredFlowRunsRepository,
    private readonly taskRuns: ExpiredTaskRunsRepository,
    private readonly remains: RunRemains,
    private readonly transactions: Transactions,
  ) {}

  /** Removes what an earlier pass has left of flow runs that it removed; gives whether nothing is left. */
  async finish(pass: RetentionPass): Promise<boolean> {
    const { removing } = pass;
    return removing.length === 0 || this.removeLeftovers(pass, pass.step(), removing);
  }

  /** Gives whether nothing is left. */
  async remove(pass: RetentionPass, ageMs: number): Promise<boolean> {
    const removeFlowRuns = (ids: readonly string[], step: RetentionStep) => this.removeFlowRuns(pass, step, ids, ageMs);
    const removeTaskRuns = (ids: readonly string[]) => this.removeTaskRuns(pass, ids, ageMs);
    const scans: readonly [string, Scan, typeof removeFlowRuns][] = [
      ['flow_run', (tx, scan) => this.flowRuns.scan(tx, scan), removeFlowRuns],
      ['flow_run_default', (tx, scan) => this.flowRuns.scanOthers(tx, scan), removeFlowRuns],
      ['task_run', (tx, scan) => this.taskRuns.scan(tx, scan), removeTaskRuns],
      ['task_run_default', (tx, scan) => this.taskRuns.scanOthers(tx, scan), removeTaskRuns],
    ];
    let isDone = true;
    for (const [name, scan, remove] of scans) isDone = (await this.scanAll(pass, ageMs, name, scan, remove)) && isDone;
    return isDone;
  }

  /** Removes flow runs with all within them, as far as they may go; gives whether nothing is left of them. */
  async removeFlowRuns(
    pass: RetentionPass,
    step: RetentionStep,
    ids: readonly string[],
    ageMs: number,
  ): Promise<boolean> {
    const { ids: gone, foreign } = await this.transactions.single((tx) =>
      this.flowRuns.remove(tx, pass.holder, ids, { before: pass.before(ageMs), now: pass.before(0) }),
    );
    pass.count('flowRuns', gone.length);
    step.spend(gone.length);
    await this.remains.forgetPayloads(foreign);
    return gone.length === 0 || this.removeLeftovers(pass, step, gone);
  }

  private async scanAll(
    pass: RetentionPass,
    ageMs: number,
    name: string,
    scan: Scan,
    remove: (ids: readonly string[], step: RetentionStep) => Promise<boolean>,
  ): Promise<boolean> {
    const step = pass.step();
    while (await step.goesOn()) {
      const after = pass.cursors[name] ?? null;
      const where = { app: pass.holder.app, before: pass.before(ageMs), after, limit: PAGE };
      const { seen, last, ids } = await this.transactions.single((tx) => scan(tx, where));
      step.spend(seen);
      if (ids.length > 0 && !(await remove(ids, step))) return false;
      const isLast = seen < PAGE;
      pass.cursors[name] = isLast ? undefined : (last ?? undefined);
      if (isLast) return true;
    }
    return false;
  }

  /** What hangs on flow runs that are gone. */
  private removeLeftovers(pass: RetentionPass, step: RetentionStep, gone: readonly string[]): Promise<boolean> {
    return this.remains.remove(step, gone, (noun, rows) => pass.count(noun, rows));
  }

  private async removeTaskRuns(pass: RetentionPass, ids: readonly string[], ageMs: number): Promise<boolean> {
    const { removed, logs, artifacts, foreign } = await this.transactions.single((tx) =>
      this.taskRuns.remove(tx, pass.holder.app, ids, pass.before(ageMs)),
    );
    pass.count('taskRuns', removed);
    pass.count('logs', logs);
    pass.count('artifacts', artifacts);
    await this.remains.forgetPayloads(foreign);
    return true;
  }
}

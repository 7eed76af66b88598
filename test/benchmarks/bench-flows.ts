import { currentRun, Flow, Task } from '@nestor/orchestrator';
import { Injectable } from '@nestjs/common';

/** Flows of tasks that do nothing: what they take is ours. */
@Injectable()
export class BenchFlows {
  /** When the body of a flow began and had its tasks done. Of the latest run: measure one at a time. */
  startedAt = 0;
  doneAt = 0;
  /** Called when the tasks of `allAtOnce` are done; as long as it takes, the run does not end. */
  beforeEnd: (flowRunId: string | null) => Promise<void> = () => Promise.resolve();

  /** @returns the id of the run, by which its records are found. */
  @Flow()
  async allAtOnce(count: number): Promise<string | null> {
    this.startedAt = performance.now();
    await Promise.all(Array.from({ length: count }, () => this.noOp()));
    this.doneAt = performance.now();
    const { flowRunId } = currentRun();
    await this.beforeEnd(flowRunId);
    return flowRunId;
  }

  @Flow()
  async oneByOne(count: number): Promise<void> {
    for (let called = 0; called < count; called += 1) await this.noOp();
  }

  @Flow()
  async started(): Promise<void> {
    this.startedAt = performance.now();
  }

  @Task()
  async noOp(): Promise<void> {}
}

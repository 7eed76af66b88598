import { currentRun, Flow, Task } from '@nestor/orchestrator';
import { Injectable } from '@nestjs/common';

/** Flows of tasks that do nothing: what they take is ours. */
@Injectable()
export class BenchFlows {
  /** Told the time when the body of `started` begins. */
  startedAt = 0;

  /** @returns the id of the run, by which its records are found. */
  @Flow()
  async allAtOnce(count: number): Promise<string | null> {
    await Promise.all(Array.from({ length: count }, () => this.noOp()));
    return currentRun().flowRunId;
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

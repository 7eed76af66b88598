import { setTimeout as pause } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { currentRun, Flow, Task } from '@nestor/orchestrator';
import type { Token } from '../../witness.js';
import { BodyWitness, type Call } from '../body-witness.js';

/** What a run is asked for with. */
export interface Job {
  /** Of whoever asked for it. */
  readonly mark: string;
  readonly ms: number;
}

/** What waits in queues: some work, in a task or without. */
@Injectable()
export class QueuedFlows {
  constructor(private readonly witness: BodyWitness) {}

  @Flow({ name: 'plain-job' })
  async plain({ ms }: Job): Promise<Token[]> {
    await this.witness.flowHasBegun();
    await pause(ms, undefined, { signal: currentRun().signal });
    return [];
  }

  @Flow({ name: 'job' })
  async job({ ms }: Job): Promise<Token[]> {
    await this.witness.flowHasBegun();
    const first = await this.work({ step: 'first' }, ms);
    return [first, await this.work({ step: 'second', saw: [first] }, ms)];
  }

  @Task()
  async work(call: Call, ms: number): Promise<Token> {
    return this.witness.task(call, () => pause(ms, undefined, { signal: currentRun().signal }));
  }
}

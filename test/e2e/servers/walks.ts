import { Inject, Injectable } from '@nestjs/common';
import { Flow, mapTasks, Task } from '@nestor/orchestrator';
import { Pool } from 'pg';

/** Where the flows leave their marks: it outlives the processes. */
export const MARKS = Symbol('marks');

export const STEPS = 12;

/** Flows that are executed by several servers. */
@Injectable()
export class Walks {
  /** Told when the first walk has come half-way. */
  halfWay = (): void => undefined;

  constructor(@Inject(MARKS) private readonly marks: Pool) {}

  /** Some steps one after another, and the same number side by side. */
  @Flow({ name: 'walk' })
  async walk(name: string): Promise<number> {
    let sum = 0;
    for (let step = 0; step < STEPS; step += 1) {
      sum += await this.step(name, step);
      if (step === STEPS / 2) this.halfWay();
    }
    const rest = await mapTasks(
      Array.from({ length: STEPS }, (_, index) => STEPS + index),
      (step) => this.step(name, step),
    );
    return rest.reduce((total, one) => total + one, sum);
  }

  @Task()
  async step(name: string, number: number): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, 200));
    await this.marks.query('insert into mark (walk, step, pid) values ($1, $2, $3)', [name, number, process.pid]);
    return number;
  }

  @Flow({ name: 'tick', deployments: [{ name: 'every-second', schedules: [{ interval: '1s' }] }] })
  async tick(): Promise<number> {
    return process.pid;
  }
}

import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { Flow, Task } from '@nestor/orchestrator';
import type { DataSource } from 'typeorm';

/** How many tasks a flow has. */
export const STEPS = 6;

/** Flows of tasks each of which counts, and enters into a ledger that it did. */
@Injectable()
export class CountingFlows {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  @Flow({ name: 'count' })
  async count(flow: string): Promise<number[]> {
    const counted = [await this.step(flow, 1), await this.step(flow, 2), await this.step(flow, 3)];
    return [...counted, ...(await Promise.all([4, 5, STEPS].map((number) => this.step(flow, number))))];
  }

  /** Tried again when the connection is lost, as it is when another process is taken for dead. */
  @Task({ transactional: true, retries: 3 })
  async step(flow: string, number: number): Promise<number> {
    const [counter] = await this.dataSource.query<{ value: number }[]>(
      `with counted as (update counter set value = value + 1 returning value) select value from counted`,
    );
    await this.dataSource.query('insert into ledger (flow, step, pid) values ($1, $2, $3)', [
      flow,
      number,
      process.pid,
    ]);
    return counter!.value;
  }
}

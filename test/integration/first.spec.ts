import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Flow, FlowRuns, Flows, mapTasks, OrchestratorModule, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../support/database.js';

@Injectable()
class Sums {
  @Flow()
  async sum({ numbers }: { numbers: number[] }): Promise<number> {
    const doubled = await mapTasks(numbers, (n) => this.double(n), { concurrency: 4 });
    return doubled.reduce((a, b) => a + b, 0);
  }
  @Task()
  async double(n: number): Promise<number> {
    return n * 2;
  }
}

describe('first', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());
  it('runs', async () => {
    @Module({ imports: [OrchestratorModule.forRoot({ database: { url: database.url } })], providers: [Sums] })
    class App {}
    const app = await NestFactory.createApplicationContext(App, { logger: ['error', 'warn'], abortOnError: false });
    const sums = app.get(Sums);
    expect(await sums.sum({ numbers: [1, 2, 3] })).toBe(12);
    const run = await app.get(Flows).start(Sums, 'sum', [{ numbers: [4] }]);
    expect(await run.result()).toBe(8);
    const runs = await app.get(FlowRuns).list();
    console.log(runs, await app.get(FlowRuns).get(run.id), await app.get(FlowRuns).taskRunsOf(run.id));
    const t0 = performance.now();
    await sums.sum({ numbers: Array.from({ length: 5000 }, (_, i) => i) });
    console.log('5000 tasks', performance.now() - t0);
    await app.close();
  });
});

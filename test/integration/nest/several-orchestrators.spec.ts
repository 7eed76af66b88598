import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { currentRun, Flow, FlowRuns, OrchestratorModule, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';

@Injectable()
class Orders {
  @Flow({ name: 'order' })
  async order(): Promise<string> {
    await this.pack();
    return currentRun().flowRunId!;
  }

  @Task()
  async pack(): Promise<void> {}
}

@Injectable()
class Bills extends Orders {
  @Flow({ name: 'bill' })
  override async order(): Promise<string> {
    return super.order();
  }
}

describe('Several orchestrators', () => {
  let database: TestDatabase;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());

  it('in one process, one per application, have a schema and an `app` each', async () => {
    const orders = await startApp({ url: database.url, providers: [Orders], schema: 'orders', app: 'orders' });
    const bills = await startApp({ url: database.url, providers: [Bills], schema: 'bills', app: 'bills' });
    try {
      const [order, bill] = await Promise.all([orders.get(Orders).order(), bills.get(Bills).order()]);
      expect(await orders.get(FlowRuns).get(order)).toMatchObject({ flowName: 'order', stateType: 'COMPLETED' });
      expect(await bills.get(FlowRuns).get(bill)).toMatchObject({ flowName: 'bill', stateType: 'COMPLETED' });
      expect(await orders.get(FlowRuns).find(bill)).toBeNull();
      expect(await bills.get(FlowRuns).find(order)).toBeNull();
    } finally {
      await Promise.all([orders.close(), bills.close()]);
    }
  });

  it('may share a schema: each executes runs of its own application', async () => {
    const orders = await startApp({ url: database.url, providers: [Orders], app: 'orders' });
    const bills = await startApp({ url: database.url, providers: [Orders], app: 'bills' });
    try {
      const bill = await bills.get(Orders).order();
      expect(await sql(database, 'select app from nestor.flow_run where id = $1', [bill])).toEqual([{ app: 'bills' }]);
      expect(await taskRunsOf(database, bill)).toMatchObject([{ task_key: 'Orders.pack' }]);
    } finally {
      await Promise.all([orders.close(), bills.close()]);
    }
  });

  it.each([
    ['of the same name', undefined],
    ['of different names', 'second'],
  ])('%s in one application are refused before anything is opened', async (_, name) => {
    const options = { database: { url: 'postgres://nobody@127.0.0.1:1/nowhere' } };
    @Module({ imports: [OrchestratorModule.forRoot(name === undefined ? options : { ...options, name })] })
    class Feature {}
    @Module({ imports: [OrchestratorModule.forRoot(options), Feature], providers: [Orders] })
    class Application {}
    const start = NestFactory.createApplicationContext(Application, { abortOnError: false, logger: false });
    await expect(start).rejects.toMatchObject({
      code: 'ORCHESTRATOR_IMPORTED_TWICE',
      message: expect.stringContaining('Import it once, in the root module'),
    });
  });
});

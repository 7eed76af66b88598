import { Injectable } from '@nestjs/common';
import { Deployments, Flow, FlowRuns } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { waitFor } from '../../support/wait-for.js';
import { makeDue, runsOf } from './support/deployed.js';

@Injectable()
class Reports {
  @Flow({ name: 'report' })
  async write(): Promise<void> {}
}

@Injectable()
class Others {
  @Flow({ name: 'other' })
  async write(): Promise<void> {}
}

describe('runs that nobody takes', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(async () => {
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  it('are late fifteen seconds after they were due, however many there are, and run all the same [S13]', async () => {
    const first = await startApp({ url: database.url, providers: [Reports], app: 'reports' });
    const { id } = await first.get(Deployments).save(Reports, 'write', { name: 'many' });
    for (let batch = 0; batch < 5; batch += 1) {
      await first.get(Deployments).runAll(
        id,
        Array.from({ length: 100 }, () => ({ in: '1h' as const })),
      );
    }
    const paused = await first.get(Deployments).run(id, { in: '1h' });
    await first.close();
    const others = (await runsOf(database, id)).map((run) => run.id).filter((one) => one !== paused.id);
    await makeDue(database, others, 16);
    await makeDue(database, [paused.id], 1);

    // A process of the application that does not have the flow.
    const second = await startApp({ url: database.url, providers: [Others], app: 'reports' });
    await waitFor(
      async () => (await runsOf(database, id)).filter((run) => run.state_name === 'Late').length === 500,
      20_000,
    );
    expect(await second.get(FlowRuns).get(paused.id)).toMatchObject({ stateName: 'Scheduled' });
    await second.close();

    const third = await startApp({ url: database.url, providers: [Reports], app: 'reports' });
    await waitFor(async () => (await runsOf(database, id)).every((run) => run.state_type === 'COMPLETED'), 20_000);
    const [late] = await runsOf(database, id);
    const { states } = await third.get(FlowRuns).get(late!.id);
    expect(states.map((state) => state.name)).toEqual(['Scheduled', 'Late', 'Pending', 'Running', 'Completed']);
    await third.close();
  });
});

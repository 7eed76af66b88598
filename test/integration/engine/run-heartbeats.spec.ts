import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Flow, Flows, RunControl } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { ActiveFlowRuns } from '../../../libs/orchestrator/src/runtime/engine/active-flow-runs.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Patience {
  gate = new Gate();

  @Flow({ name: 'patience' })
  async wait(isPatient: boolean): Promise<void> {
    if (isPatient) await this.gate.pass();
  }
}

describe('the heartbeat of a flow run', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Patience], runHeartbeat: '1s' });
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const heartbeatsOf = (id: string): Promise<{ occurred: Date; related: unknown }[]> =>
    sql(
      database,
      `select occurred, related from nestor.event_feed
        where event = 'prefect.flow-run.heartbeat' and resource_id = $1 order by occurred`,
      [`prefect.flow-run.${id}`],
    );

  it('is an event at every interval while it runs, and none when it is paused or over [F17]', async () => {
    const start = (isPatient: boolean) => app.get(Flows).start(Patience, 'wait', isPatient);
    const [running, paused, over] = await Promise.all([start(true), start(true), start(false)]);
    await Promise.all([app.get(RunControl).pause(paused.id), over.result()]);
    await waitFor(() => app.get(ActiveFlowRuns).find(paused.id)!.gate.isClosed);
    const before = await Promise.all([heartbeatsOf(paused.id), heartbeatsOf(over.id)]);

    const beats = await waitFor(async () => {
      const all = await heartbeatsOf(running.id);
      return all.length >= 3 && all;
    });
    for (const [index, beat] of beats.slice(1).entries()) {
      expect(beat.occurred.getTime() - beats[index]!.occurred.getTime()).toBeGreaterThan(900);
    }
    expect(beats[0]!.related).toMatchObject([{ 'prefect.resource.role': 'flow' }]);
    // Of each of the others one may have been on its way when it ceased to run.
    const after = await Promise.all([heartbeatsOf(paused.id), heartbeatsOf(over.id)]);
    after.forEach((some, index) => expect(some.length).toBeLessThanOrEqual(before[index]!.length + 1));

    await app.get(RunControl).resume(paused.id);
    app.get(Patience).gate.open();
    await Promise.all([running.result(), paused.result()]);
  });
});

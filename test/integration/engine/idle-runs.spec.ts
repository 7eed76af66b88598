import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Flow, Flows, RunControl, RunControlRefusedError, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Stage {
  readonly gates = new Map<string, Gate>();

  @Flow()
  async play(name: string): Promise<void> {
    await this.outer(name);
  }

  @Task()
  async outer(name: string): Promise<void> {
    await this.gates.get(name)?.pass();
    await this.inner();
  }

  @Task()
  async inner(): Promise<void> {
    return Promise.resolve();
  }
}

describe('a run that is suspended', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let control: RunControl;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Stage] });
    control = app.get(RunControl);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  /** A run that was suspended in the midst of a task; that ends when the gate is opened. */
  const suspended = async (name: string): Promise<{ readonly id: string; readonly gate: Gate }> => {
    const gate = new Gate();
    app.get(Stage).gates.set(name, gate);
    const { id } = await app.get(Flows).start(Stage, 'play', name);
    await gate.reached;
    await waitFor(async () => (await stateNames(database, id)).includes('Running'));
    await control.suspend(id);
    return { id, gate };
  };

  it('takes what was left open within it along when it is cancelled', async () => {
    const { id, gate } = await suspended('cancelled');
    expect(await control.cancel(id)).toMatchObject({ type: 'CANCELLED' });
    expect(await taskRunsOf(database, id)).toMatchObject([
      { name: expect.stringMatching(/^outer/), state_type: 'CANCELLED' },
    ]);
    gate.open();
  });

  it('goes on once when several resume it at once; the others are told that it is not paused', async () => {
    const { id, gate } = await suspended('resumed');
    gate.open();
    const answers = await Promise.allSettled(Array.from({ length: 5 }, () => control.resume(id)));
    const refusals = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    expect(refusals).toHaveLength(4);
    for (const refusal of refusals) expect(refusal).toBeInstanceOf(RunControlRefusedError);
    await waitFor(async () => (await stateNames(database, id)).includes('Completed'));
    expect((await stateNames(database, id)).filter((name) => name === 'Resuming')).toHaveLength(1);
  });
});

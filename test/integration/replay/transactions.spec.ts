import { transaction } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { taskRunsOf } from '../../support/history.js';
import { Relay } from '../../support/relay.js';
import type { Stage } from '../../support/stage.js';

describe('a transaction whose process died', () => {
  let database: TestDatabase;
  let relay: Relay;
  let gate: Gate;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(() => {
    relay = new Relay(database);
    gate = new Gate();
  });
  afterEach(async () => {
    gate.open();
    await relay.close();
  });

  const order = (stage: Stage) => async (): Promise<never> =>
    transaction(async () => {
      await stage.reserve('seat');
      await stage.reserve('hotel');
      await interruption(stage);
      throw new Error('no money');
    });

  /** Where the first process dies; the second one passes by. */
  const interruption = async (stage: Stage): Promise<void> => {
    if (stage.owner === 'first') await gate.pass();
  };

  it('is taken back by the process that goes on [C22]', async () => {
    const first = await relay.start('first', (stage) => (stage.script = order(stage)));
    const id = await first.begin('play');
    await gate.reached;
    await first.die();
    const second = await relay.start('second', (stage) => (stage.script = order(stage)));

    expect(await second.failure(id)).toMatchObject({ message: 'no money' });
    expect(first.stage.performed).toEqual(['reserve(seat)', 'reserve(hotel)']);
    expect(second.stage.performed).toEqual(['undo(hotel)', 'undo(seat)']);
    const tasks = await taskRunsOf(database, id);
    expect(tasks.map(({ state_name }) => state_name)).toEqual(['RolledBack', 'RolledBack', 'Completed', 'Completed']);
  });

  it('in the midst of taking back is taken back from there on [C22]', async () => {
    const dying = (stage: Stage): void => {
      stage.script = () =>
        transaction(async () => {
          await stage.reserve('seat');
          await stage.reserve('hotel');
          throw new Error('no money');
        });
      stage.perform = async (call) => {
        if (call === 'undo(seat)') await interruption(stage);
        return call;
      };
    };
    const first = await relay.start('first', dying);
    const id = await first.begin('play');
    await gate.reached;
    await first.die();
    const second = await relay.start('second', dying);

    expect(await second.failure(id)).toMatchObject({ message: 'no money' });
    expect(first.stage.performed).toEqual(['reserve(seat)', 'reserve(hotel)', 'undo(hotel)', 'undo(seat)']);
    expect(second.stage.performed).toEqual(['undo(seat)']);
  });

  it('commits in the process that goes on', async () => {
    const committing = (stage: Stage): void => {
      stage.script = () =>
        transaction(
          { key: `order of ${relay.app}`, onCommit: () => stage.performed.push('committed') },
          async (txn) => {
            await stage.reserve('seat');
            await interruption(stage);
            txn.stage(txn.isCommitted);
            return txn.isCommitted;
          },
        );
    };
    const first = await relay.start('first', committing);
    const id = await first.begin('play');
    await gate.reached;
    await first.die();
    const second = await relay.start('second', committing);

    expect(await second.result(id)).toBe(false);
    expect(second.stage.performed).toEqual(['committed']);
  });
});

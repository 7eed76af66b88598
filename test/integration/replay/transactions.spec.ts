import { transaction } from '@nestor/orchestrator';
import { taskRunsOf } from '../../support/history.js';
import type { Stage } from '../../support/stage.js';
import { useTakeovers } from './support/takeovers.js';

describe('a transaction whose process died', () => {
  const takeovers = useTakeovers();
  const { interruption, playTwice } = takeovers;

  const order = (stage: Stage) => async (): Promise<never> =>
    transaction(async () => {
      await stage.reserve('seat');
      await stage.reserve('hotel');
      await interruption(stage);
      throw new Error('no money');
    });

  it('is taken back by the process that goes on [C22]', async () => {
    const { id, first, second } = await playTwice((stage) => (stage.script = order(stage)));

    expect(await second.failure(id)).toMatchObject({ message: 'no money' });
    expect(first.stage.performed).toEqual(['reserve(seat)', 'reserve(hotel)']);
    expect(second.stage.performed).toEqual(['undo(hotel)', 'undo(seat)']);
    const tasks = await taskRunsOf(takeovers.database, id);
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
    const { id, first, second } = await playTwice(dying);

    expect(await second.failure(id)).toMatchObject({ message: 'no money' });
    expect(first.stage.performed).toEqual(['reserve(seat)', 'reserve(hotel)', 'undo(hotel)', 'undo(seat)']);
    expect(second.stage.performed).toEqual(['undo(seat)']);
  });

  it('commits in the process that goes on', async () => {
    const committing = (stage: Stage): void => {
      stage.script = () =>
        transaction(
          { key: `order of ${takeovers.relay.app}`, onCommit: () => stage.performed.push('committed') },
          async (txn) => {
            await stage.reserve('seat');
            await interruption(stage);
            txn.stage(txn.isCommitted);
            return txn.isCommitted;
          },
        );
    };
    const { id, second } = await playTwice(committing);

    expect(await second.result(id)).toBe(false);
    expect(second.stage.performed).toEqual(['committed']);
  });
});

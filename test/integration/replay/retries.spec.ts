import { currentRun } from '@nestor/orchestrator';
import { Journal } from '../../../libs/orchestrator/src/runtime/transitions/journal.js';
import { Gate } from '../../support/gate.js';
import { flowRunOf, stateNames, subflowRunsOf, taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { useTakeovers } from './support/takeovers.js';

describe('when the process of a flow run dies', () => {
  const takeovers = useTakeovers();
  const { interruption, playTwice } = takeovers;

  /** By how much a run began too early: before the time that the state it was in had set. Negative for those that did not. */
  const earliness = async (run: 'flow_run' | 'task_run', id: string): Promise<number[]> => {
    const rows = await sql<{ ms: number }>(
      takeovers.database,
      `select extract(epoch from (before.state_details->>'scheduledTime')::timestamptz - s.timestamp)::float8 * 1000 as ms
         from nestor.${run}_state s join nestor.${run}_state before on before.id = s.follows and before.${run}_id = $1
        where s.${run}_id = $1 and before.name = 'AwaitingRetry'`,
      [id],
    );
    return rows.map(({ ms }) => ms);
  };

  describe('in its second attempt', () => {
    it('that attempt goes on: completions of both attempts are replayed, failures of the second alone', async () => {
      const { id, first, second } = await playTwice(
        (stage) => {
          stage.perform = async (call) => {
            if (call.startsWith('sing')) throw new Error(`${call} failed for ${stage.owner}`);
            return `${call} by ${stage.owner}`;
          };
          stage.script = async () => {
            const results = [await stage.act(1)];
            results.push(await stage.sing('caught').catch((error: Error) => error.message));
            if (currentRun().attempt === 1) throw new Error('the first attempt fails');
            results.push(await stage.act(2));
            await interruption(stage);
            return [...results, currentRun().attempt];
          };
        },
        { play: 'playTwice' },
      );

      expect(await second.result(id)).toEqual([
        'act(1) by first',
        'sing(caught) failed for first',
        'act(2) by first',
        2,
      ]);
      expect(first.stage.performed).toEqual(['act(1)', 'sing(caught)', 'sing(caught)', 'act(2)']);
      expect(second.stage.performed).toEqual([]);
      expect(await flowRunOf(takeovers.database, id)).toMatchObject({
        run_count: 2,
        empirical_policy: { recoveries: 1 },
      });
      expect(await stateNames(takeovers.database, id)).toEqual([
        ...['Pending', 'Running', 'AwaitingRetry', 'Running', 'AwaitingResume', 'Running', 'Completed'],
      ]);
    });

    it('and the attempt that goes on fails, no further one is made than there was left', async () => {
      const { id, second } = await playTwice(
        (stage) => {
          stage.script = async () => {
            if (currentRun().attempt === 2) await interruption(stage);
            throw new Error(`attempt ${currentRun().attempt} failed for ${stage.owner}`);
          };
        },
        { play: 'playTwice' },
      );
      expect(await second.failure(id)).toMatchObject({ message: 'attempt 2 failed for second' });
      expect(await flowRunOf(takeovers.database, id)).toMatchObject({ run_count: 2, state_type: 'FAILED' });
    });
  });

  it('in its first attempt, which then fails elsewhere, the second is made there and replays what was completed', async () => {
    const { id, second } = await playTwice(
      (stage) => {
        stage.perform = async (call) => {
          if (call === 'act(2)' && currentRun().attempt === 1 && stage.performed.length === 1) throw new Error('once');
          return `${call} by ${stage.owner}`;
        };
        stage.script = async () => {
          const one = await stage.act(1);
          await interruption(stage);
          return [one, await stage.act(2), currentRun().attempt];
        };
      },
      { play: 'playTwice' },
    );
    expect(await second.result(id)).toEqual(['act(1) by first', 'act(2) by second', 2]);
    expect(second.stage.performed).toEqual(['act(2)', 'act(2)']);
  });

  it('while it waits for its retry, the retry is made elsewhere when it is due, as the attempt it would have been', async () => {
    const { id, second } = await playTwice(
      (stage) => {
        stage.script = async () => {
          const one = await stage.act(1);
          if (currentRun().attempt === 1) throw new Error('not yet');
          return [one, currentRun().attempt];
        };
      },
      {
        play: 'playLater',
        dueToDie: (id) => waitFor(async () => (await stateNames(takeovers.database, id)).includes('AwaitingRetry')),
      },
    );
    expect(await second.result(id)).toEqual(['act(1) by first', 2]);
    expect(second.stage.performed).toEqual([]);
    expect(await stateNames(takeovers.database, id)).toEqual([
      'Pending',
      'Running',
      'AwaitingRetry',
      'Running',
      'Completed',
    ]);
    expect(await earliness('flow_run', id)).toEqual([expect.any(Number)]);
    expect((await earliness('flow_run', id))[0]).toBeLessThanOrEqual(0);
    expect(await flowRunOf(takeovers.database, id)).toMatchObject({
      run_count: 2,
      empirical_policy: { recoveries: 0 },
    });
  });

  it('while one of its tasks waits for its retry, the retry is made elsewhere when it is due', async () => {
    const { id, second } = await playTwice(
      (stage) => {
        stage.perform = async (call) => {
          if (currentRun().attempt === 1) throw new Error('not yet');
          return `${call} by ${stage.owner} in attempt ${currentRun().attempt}`;
        };
        stage.script = () => stage.actLater();
      },
      {
        dueToDie: (id) =>
          waitFor(async () => {
            const [task] = await taskRunsOf(takeovers.database, id);
            return task?.state_name === 'AwaitingRetry';
          }),
      },
    );
    expect(await second.result(id)).toBe('actLater() by second in attempt 2');
    expect(second.stage.performed).toEqual(['actLater()']);
    const [task, ...others] = await taskRunsOf(takeovers.database, id);
    expect(others).toEqual([]);
    expect(task).toMatchObject({ run_count: 2, state_type: 'COMPLETED' });
    expect(await stateNames(takeovers.database, task!.id)).toEqual([
      ...['Pending', 'Running', 'AwaitingRetry', 'Retrying', 'Completed'],
    ]);
    expect((await earliness('task_run', task!.id))[0]).toBeLessThanOrEqual(0);
  });

  it('while a task that calls others runs its second attempt, that goes on with what it had called itself', async () => {
    const { id, first, second } = await playTwice((stage) => {
      stage.direction = async () => {
        const inner = await stage.act('inner');
        if (currentRun().attempt === 1) throw new Error('the first attempt fails');
        await interruption(stage);
        return `${inner}, attempt ${currentRun().attempt}`;
      };
      stage.script = () => stage.directTwice('x');
    });
    expect(await second.result(id)).toBe('act(inner) by first, attempt 2');
    // Its own retry calls anew; resuming after the crash does not.
    expect(first.stage.performed).toEqual(['directTwice(x)', 'act(inner)', 'directTwice(x)', 'act(inner)']);
    expect(second.stage.performed).toEqual(['directTwice(x)']);
    const [outer] = await taskRunsOf(takeovers.database, id);
    expect(outer).toMatchObject({ run_count: 2, state_type: 'COMPLETED' });
  });

  describe('in a task that must run at most once', () => {
    it('the task is not executed again, and fails: its outcome is unknown', async () => {
      const { id, first, second } = await playTwice((stage) => {
        stage.perform = async () => {
          await interruption(stage);
          return 'done';
        };
        stage.script = () => stage.actOnce('charge');
      });
      expect(await second.failure(id)).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
      expect(first.stage.performed).toEqual(['actOnce(charge)']);
      expect(second.stage.performed).toEqual([]);
      const [task] = await taskRunsOf(takeovers.database, id);
      expect(task).toMatchObject({ state_type: 'FAILED', run_count: 1 });
      expect(await stateNames(takeovers.database, task!.id)).toEqual(['Pending', 'Running', 'Failed']);
    });

    it('the flow may catch that and go on', async () => {
      const { id, second } = await playTwice((stage) => {
        stage.perform = async (call) => {
          if (call.startsWith('actOnce')) await interruption(stage);
          return call;
        };
        stage.script = () => stage.actOnce('charge').catch((error: { code: string }) => stage.sing(error.code));
      });
      expect(await second.result(id)).toBe('sing(OUTCOME_UNKNOWN)');
    });

    it('nor after the process that resumed it has shut down before it came to it', async () => {
      const waiting = new Gate();
      const { id, second } = await playTwice((stage) => {
        stage.perform = () => interruption(stage);
        stage.script = async () => {
          if (stage.owner === 'second') await waiting.pass();
          return stage.actOnce('charge');
        };
      });
      await waiting.reached;
      await second.app.close();
      const third = await takeovers.relay.start('third', (stage) => (stage.script = () => stage.actOnce('charge')));
      expect(await third.failure(id)).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
      expect(third.stage.performed).toEqual([]);
      waiting.open();
    });

    it('one that had completed is replayed like any other', async () => {
      const { id, second } = await playTwice((stage) => {
        stage.script = async () => {
          const result = await stage.actOnce('charge');
          await interruption(stage);
          return result;
        };
      });
      expect(await second.result(id)).toBe('actOnce(charge) by first');
    });
  });

  describe('within a subflow', () => {
    it('the subflow goes on as the same run; those that had ended are not entered', async () => {
      const entered: string[] = [];
      const { id, second } = await playTwice((stage) => {
        stage.scene = async (name: string) => {
          entered.push(`${name} for ${stage.owner}`);
          const result = await stage.act(name);
          if (name === 'interrupted') await interruption(stage);
          if (name === 'failed') throw new RangeError(`${result}, in vain`);
          return `${result} in ${currentRun().flowRunId}`;
        };
        stage.script = async () => [
          await stage.enact('ended'),
          await stage.enact('failed').catch((error: Error) => [error instanceof RangeError, error.message]),
          await stage.enact('interrupted'),
          await stage.enact('new'),
        ];
      });
      const result = await second.result(id);
      const [ended, failed, interrupted, fresh, ...others] = await subflowRunsOf(takeovers.database, id);
      expect(others).toEqual([]);
      expect(result).toEqual([
        `act(ended) by first in ${ended!.id}`,
        [true, 'act(failed) by first, in vain'],
        `act(interrupted) by first in ${interrupted!.id}`,
        `act(new) by second in ${fresh!.id}`,
      ]);
      expect(failed).toMatchObject({ state_type: 'FAILED' });
      expect(entered).toEqual([
        ...['ended for first', 'failed for first', 'interrupted for first'],
        ...['interrupted for second', 'new for second'],
      ]);
      expect(second.stage.performed).toEqual(['act(new)']);
      expect(await stateNames(takeovers.database, interrupted!.id)).toEqual([
        ...['Pending', 'Running', 'AwaitingResume', 'Running', 'Completed'],
      ]);
      expect(interrupted).toMatchObject({ run_count: 1, root_flow_run_id: id });
      expect(await taskRunsOf(takeovers.database, id)).toHaveLength(4);
    });

    it('an end of the subflow that its caller had not heard of is what the caller gets', async () => {
      const code = (stage: Stage): void => {
        stage.scene = () => stage.act('scene');
        stage.script = () => stage.enact('x');
      };
      const first = await takeovers.relay.start('first', code);
      // The moment between two commits: the subflow has ended, and the task run that stands for it has not.
      const journal = first.get(Journal);
      const append = journal.append.bind(journal);
      jest.spyOn(journal, 'append').mockImplementation((entry, waiting) => {
        const isEndOfCall = entry.kind === 'save-task-run' && entry.write.created.taskKey === 'flow:scene';
        if (isEndOfCall) void takeovers.gate.pass().then(() => append(entry, waiting));
        else append(entry, waiting);
      });
      const id = await first.begin('play');
      await takeovers.gate.reached;
      await first.die();
      const [subflow] = await subflowRunsOf(takeovers.database, id);
      expect(subflow).toMatchObject({ state_type: 'COMPLETED' });
      expect(await taskRunsOf(takeovers.database, id)).toMatchObject([{ state_type: 'RUNNING' }]);

      const second = await takeovers.relay.start('second', code);
      expect(await second.result(id)).toBe('act(scene) by first');
      expect(second.stage.performed).toEqual([]);
      expect(await subflowRunsOf(takeovers.database, id)).toHaveLength(1);
      expect(await taskRunsOf(takeovers.database, id)).toMatchObject([{ state_type: 'COMPLETED', run_count: 1 }]);
    });

    it('its own retries are counted on', async () => {
      const { id, second } = await playTwice((stage) => {
        stage.scene = async () => {
          const { attempt } = currentRun();
          const result = await stage.act('scene');
          if (attempt === 1) throw new Error('once');
          await interruption(stage);
          if (stage.owner === 'second') throw new Error(`attempt ${attempt} failed as well: ${result}`);
        };
        stage.script = () => stage.enactTwice();
      });
      expect(await second.failure(id)).toMatchObject({ message: 'attempt 2 failed as well: act(scene) by first' });
      const [subflow, ...others] = await subflowRunsOf(takeovers.database, id);
      expect(others).toEqual([]);
      expect(subflow).toMatchObject({ run_count: 2, state_type: 'FAILED' });
      expect(await stateNames(takeovers.database, subflow!.id)).toEqual([
        ...['Pending', 'Running', 'AwaitingRetry', 'Running', 'AwaitingResume', 'Running', 'Failed'],
      ]);
    });

    it('that is deep down in the tree, every run of the branch goes on as itself', async () => {
      const { id, second } = await playTwice((stage) => {
        stage.scene = async (depth: number) => {
          const result = await stage.act(depth);
          if (depth === 0) await interruption(stage);
          return depth === 0 ? [result] : [result, ...((await stage.enact(depth - 1)) as string[])];
        };
        stage.script = () => stage.enact(2);
      });
      expect(await second.result(id)).toEqual(['act(2) by first', 'act(1) by first', 'act(0) by first']);
      expect(await subflowRunsOf(takeovers.database, id)).toMatchObject([
        { state_type: 'COMPLETED', run_count: 1 },
        { state_type: 'COMPLETED', run_count: 1 },
        { state_type: 'COMPLETED', run_count: 1 },
      ]);
    });

    it('what is left of subflows that are not called any more is closed', async () => {
      const { id, second } = await playTwice((stage) => {
        stage.scene = async () => {
          stage.perform = () => takeovers.gate.pass();
          await stage.act('left');
        };
        stage.script = async () => (stage.owner === 'first' ? stage.enact('left') : 'done without');
      });
      expect(await second.result(id)).toBe('done without');
      const [subflow] = await subflowRunsOf(takeovers.database, id);
      await waitFor(async () => (await flowRunOf(takeovers.database, subflow!.id)).state_type === 'CANCELLED');
      const left = [
        ...(await taskRunsOf(takeovers.database, id)),
        ...(await taskRunsOf(takeovers.database, subflow!.id)),
      ];
      expect(left.map(({ state_type }) => state_type)).toEqual(['CANCELLED', 'CANCELLED']);
    });
  });
});

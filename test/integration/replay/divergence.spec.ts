import { currentRun } from '@nestor/orchestrator';
import { flowRunOf, stateNames, taskRunsOf } from '../../support/history.js';
import type { RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import type { Stage } from '../../support/stage.js';
import { waitFor } from '../../support/wait-for.js';
import { useTakeovers, type Play } from './support/takeovers.js';

describe('a resumed flow run whose code asks for something else than it did', () => {
  const takeovers = useTakeovers();

  /** A flow whose second call depends on who executes it: what code does that asks the clock, or a global variable. */
  const fickle = (stage: Stage): void => {
    stage.script = async () => {
      const one = await stage.act('steady');
      const two = await stage.act(`fickle ${stage.owner}`);
      await takeovers.interruption(stage);
      return [one, two];
    };
  };
  /** Plays code in two processes of builds by the given names. */
  const playTwice = (
    play: Play,
    builds: readonly [string | null, string | null] = [null, null],
    code: (stage: Stage) => void = fickle,
  ): ReturnType<typeof takeovers.playTwice> => {
    const [ofFirst, ofSecond] = builds.map((buildId) => (buildId === null ? {} : { buildId }));
    return takeovers.playTwice(code, { play, ofFirst, ofSecond });
  };
  const warningsOf = async (id: string): Promise<string[]> => {
    const rows = await sql<{ message: string }>(
      takeovers.database,
      'select message from nestor.log where flow_run_id = $1 and level = 30',
      [id],
    );
    return rows.map(({ message }) => message);
  };

  /** Those that are no changes of its state. */
  const eventsOf = (id: string): Promise<Record<string, unknown>[]> =>
    sql(takeovers.database, 'select event, resource, related, payload from nestor.event where resource_id = $1', [
      `prefect.flow-run.${id}`,
    ]);

  const expectFailure = async (id: string, second: RelayProcess): Promise<void> => {
    expect(await second.failure(id)).toMatchObject({ code: 'REPLAY_DIVERGED', taskKey: 'Stage.act', unclaimed: 1 });
    expect(second.stage.performed).toEqual([]);
    expect(await flowRunOf(takeovers.database, id)).toMatchObject({ state_type: 'FAILED', run_count: 1 });
    expect(await stateNames(takeovers.database, id)).toEqual([
      'Pending',
      'Running',
      'AwaitingResume',
      'Running',
      'Failed',
    ]);
  };
  const expectWarning = async (id: string, second: RelayProcess): Promise<void> => {
    expect(await second.result(id)).toEqual(['act(steady) by first', 'act(fickle second) by second']);
    expect(second.stage.performed).toEqual(['act(fickle second)']);
    expect(await waitFor(async () => (await warningsOf(id)).length > 0 && warningsOf(id))).toEqual([
      expect.stringContaining('"Stage.act" was called with inputs that are not recorded'),
    ]);
    expect(await waitFor(async () => (await eventsOf(id)).length > 0 && eventsOf(id))).toEqual([
      expect.objectContaining({
        event: 'nestor.flow-run.diverged',
        resource: { 'prefect.resource.id': `prefect.flow-run.${id}`, 'prefect.resource.name': expect.any(String) },
        related: [
          { 'prefect.resource.id': expect.stringMatching(/^prefect\.flow\./), 'prefect.resource.role': 'flow' },
        ],
        payload: { message: expect.any(String), taskKey: 'Stage.act', unclaimed: 1 },
      }),
    ]);
  };

  it.each<[string, Play, [string | null, string | null]]>([
    ['by default, on the same build', 'play', ['v1', 'v1']],
    ['by default, on the same code where builds have no name', 'play', [null, null]],
    ['where that is asked for, on whatever build', 'playStrictly', ['v1', 'v2']],
  ])('fails before anything is executed, and is not tried again: %s', async (_, play, builds) => {
    const { id, second } = await playTwice(play, builds);
    await expectFailure(id, second);
  });

  it.each<[string, Play, [string | null, string | null]]>([
    ['by default, on another build', 'play', ['v1', 'v2']],
    ['where that is asked for, on the same build', 'playLeniently', ['v1', 'v1']],
  ])('goes on with a warning, which is an event: %s', async (_, play, builds) => {
    const { id, second } = await playTwice(play, builds);
    await expectWarning(id, second);
  });

  it('goes on silently where that is asked for', async () => {
    const { id, second } = await playTwice('playFreely');
    expect(await second.result(id)).toEqual(['act(steady) by first', 'act(fickle second) by second']);
    await second.app.close();
    expect(await warningsOf(id)).toEqual([]);
    expect(await eventsOf(id)).toEqual([]);
  });

  it('fails although its code swallows the error', async () => {
    const { id, second } = await playTwice('play', [null, null], (stage) => {
      stage.script = async () => {
        await stage.act(stage.owner).catch(() => undefined);
        if (stage.owner === 'first') return takeovers.gate.pass();
        return 'went on as if nothing had happened';
      };
    });
    expect(await second.failure(id)).toMatchObject({ code: 'REPLAY_DIVERGED' });
    expect(second.stage.performed).toEqual([]);
    expect((await taskRunsOf(takeovers.database, id)).map(({ result }) => result)).toEqual(['act(first) by first']);
  });

  it('goes on in peace when it only comes to its calls late, or in another order', async () => {
    const { id, second } = await playTwice('play', [null, null], (stage) => {
      stage.script = async () => {
        const names = stage.owner === 'first' ? ['a', 'b', 'c'] : ['c', 'new', 'b', 'a'];
        const results = await Promise.all(names.map((name) => stage.act(name)));
        await takeovers.interruption(stage);
        return results;
      };
    });
    expect(await second.result(id)).toEqual([
      ...['act(c) by first', 'act(new) by second', 'act(b) by first', 'act(a) by first'],
    ]);
    expect(second.stage.performed).toEqual(['act(new)']);
  });

  it('does not fail for what a retry does differently', async () => {
    const { id, second } = await playTwice('playTwice', [null, null], (stage) => {
      stage.script = async () => {
        const { attempt } = currentRun();
        await stage.act(`attempt ${attempt}`);
        await takeovers.interruption(stage);
        if (attempt === 1) throw new Error('again');
        return attempt;
      };
    });
    expect(await second.result(id)).toBe(2);
    expect(second.stage.performed).toEqual(['act(attempt 2)']);
  });

  it('does not fail for what an earlier attempt did differently', async () => {
    const { id, second } = await playTwice('playTwice', [null, null], (stage) => {
      stage.script = async () => {
        const { attempt } = currentRun();
        await stage.act(`attempt ${attempt}`);
        if (attempt === 1) throw new Error('again');
        await takeovers.interruption(stage);
        return stage.act('new');
      };
    });
    expect(await second.result(id)).toBe('act(new) by second');
    expect(second.stage.performed).toEqual(['act(new)']);
  });
});

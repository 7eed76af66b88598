import { Logger } from '@nestjs/common';
import { Loops } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { WakeableLoop } from '../../../libs/orchestrator/src/runtime/loops/wakeable-loop.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { Relay, type RelayProcess } from '../../support/relay.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

describe('the loops of a process', () => {
  let database: TestDatabase;
  let relay: Relay;
  let process: RelayProcess;
  beforeAll(async () => {
    database = await testDatabase();
    relay = new Relay(database);
    process = await relay.start('process', undefined, { worker: { pools: ['pool'] } });
  });
  afterEach(() => jest.restoreAllMocks());
  afterAll(async () => {
    await relay.close();
    await database.drop();
  });

  const statusOf = (key: string) =>
    process
      .get(Loops)
      .statuses()
      .find(({ loop }) => loop === key);
  const eventsOf = async (key: string): Promise<string[]> => {
    const events = await sql<{ event: string }>(
      database,
      `select event from nestor.event
        where resource ->> 'nestor.loop' = $1 and resource_id = $2 order by occurred, id`,
      [key, `nestor.process.${process.processId}`],
    );
    return events.map(({ event }) => event);
  };
  const behindInRow = async (): Promise<string[]> => {
    const [row] = await sql<{ loops: { loop: string }[] | null }>(
      database,
      'select loops_behind as loops from nestor.process where id = $1',
      [process.processId],
    );
    return (row!.loops ?? []).map(({ loop }) => loop);
  };
  const said = (text: RegExp): number => process.logger.lines.filter(({ message }) => text.test(message)).length;

  it('are all watched, and tell when they looked last', async () => {
    await waitFor(() =>
      process
        .get(Loops)
        .statuses()
        .every(({ lastRoundAt }) => lastRoundAt !== null),
    );
    expect(
      process
        .get(Loops)
        .statuses()
        .map(({ loop }) => loop),
    ).toEqual(
      [
        ...[
          'claimer',
          'foreman',
          'heartbeats',
          'hooks',
          'housekeeping',
          'late-runs',
          'observer',
          'pools',
          'retention',
          'scheduler',
          'slot-line',
          'slots',
          'sweeper',
        ],
        ...['tag-limits', 'task-claimer', 'turns', 'workers'],
      ].sort(),
    );
    expect(statusOf('sweeper')).toMatchObject({ title: 'Sweeping', error: null, behindSince: null });
    await waitFor(() => statusOf('sweeper')!.lagMs < 1_000);
  });

  it('say once that they are behind, and once that they have caught up: in the log, as events, and to everybody', async () => {
    let isBroken = true;
    let rounds = 0;
    const round = async (): Promise<number> => {
      rounds += 1;
      if (isBroken) throw new Error('out of order');
      return 20;
    };
    const loop = new WakeableLoop('Testing', new Logger('Test'), round, 20);
    process.get(Loops).start('test', loop);
    await waitFor(() => rounds > 2);
    expect(await eventsOf('test')).toEqual([]);

    const now = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => now() + 40_000);
    await waitFor(async () => (await eventsOf('test')).length > 0);
    const before = rounds;
    await waitFor(() => rounds > before + 5);
    expect(await eventsOf('test')).toEqual(['nestor.loop.behind']);
    expect(said(/^Testing is \d+ seconds behind: .*out of order/)).toBe(1);
    expect(await behindInRow()).toContain('test');
    expect(statusOf('test')).toMatchObject({ error: 'Error: out of order', behindSince: expect.any(Number) as number });
    expect(statusOf('test')!.lagMs).toBeGreaterThan(30_000);

    isBroken = false;
    await waitFor(async () => (await eventsOf('test')).length > 1);
    expect(await eventsOf('test')).toEqual(['nestor.loop.behind', 'nestor.loop.caught-up']);
    expect(said(/^Testing has caught up/)).toBe(1);
    await waitFor(async () => !(await behindInRow()).includes('test'));
    expect(statusOf('test')).toMatchObject({ error: null, behindSince: null });
    await loop.stop();
  }, 20_000);

  it('say so of a round that does not end', async () => {
    const gate = new Gate();
    const loop = new WakeableLoop('Hanging', new Logger('Test'), async () => (await gate.pass(), 10), 20);
    process.get(Loops).start('hanging', loop);
    await gate.reached;
    const now = performance.now.bind(performance);
    jest.spyOn(performance, 'now').mockImplementation(() => now() + 40_000);
    await waitFor(async () => (await eventsOf('hanging')).length > 0);
    gate.open();
    await waitFor(async () => (await eventsOf('hanging')).length > 1);
    expect(await eventsOf('hanging')).toEqual(['nestor.loop.behind', 'nestor.loop.caught-up']);
    await loop.stop();
  }, 30_000);
});

import { Logger } from '@nestjs/common';
import { WakeableLoop } from './wakeable-loop.js';

/** Rounds that end when a test says so. */
class Rounds {
  readonly begun: ((pause: number | Error | { pauseMs: number; overdueMs: number }) => void)[] = [];

  readonly round = (): Promise<number | { pauseMs: number; overdueMs: number }> =>
    new Promise((resolve, reject) =>
      this.begun.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome))),
    );
}

describe('a loop', () => {
  let rounds: Rounds;
  let loop: WakeableLoop;
  beforeEach(() => {
    jest.useFakeTimers();
    rounds = new Rounds();
    const logger = new Logger('Test');
    jest.spyOn(logger, 'warn').mockImplementation();
    loop = new WakeableLoop('Testing', logger, rounds.round, 100);
  });
  afterEach(async () => {
    for (const end of rounds.begun) end(0);
    await loop.stop();
    jest.useRealTimers();
  });

  const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);

  it('is late for as long as a round takes that is due, and not before the next one is', async () => {
    expect(loop.lagMs).toBe(0);
    loop.start();
    await pass(40);
    expect(loop.lagMs).toBe(40);
    rounds.begun[0]!(1_000);
    await pass(0);
    expect(loop.lagMs).toBe(0);
    expect(loop.lastRound).toMatchObject({ durationMs: 40, lagMs: 40, error: null });
    await pass(1_000);
    expect(rounds.begun).toHaveLength(2);
    await pass(30);
    expect(loop.lagMs).toBe(30);
  });

  it('is late from when it was woken while a round is under way', async () => {
    loop.start();
    await pass(10);
    loop.wake();
    await pass(20);
    rounds.begun[0]!(1_000);
    await pass(5);
    expect(rounds.begun).toHaveLength(2);
    expect(loop.lagMs).toBe(25);
  });

  it('is late until a round has succeeded', async () => {
    loop.start();
    rounds.begun[0]!(new Error('not now'));
    await pass(60);
    expect(loop.lagMs).toBe(60);
    expect(loop.lastRound).toMatchObject({ error: 'Error: not now' });
    await pass(40);
    rounds.begun[1]!(1_000);
    await pass(0);
    expect(loop.lastRound).toMatchObject({ lagMs: 100, error: null });
    expect(loop.lagMs).toBe(0);
  });

  it('is late with what a round has left undone', async () => {
    loop.start();
    rounds.begun[0]!({ pauseMs: 1_000, overdueMs: 500 });
    await pass(100);
    expect(loop.lagMs).toBe(600);
  });

  it('is not late once it has stopped, and tells of no further round', async () => {
    const told = jest.fn();
    loop.onRound = told;
    loop.start();
    await pass(50);
    const stopped = loop.stop();
    rounds.begun[0]!(10);
    await stopped;
    expect(told).not.toHaveBeenCalled();
    await pass(1_000);
    expect(loop.lagMs).toBe(0);
    expect(rounds.begun).toHaveLength(1);
  });
});

import { Logger } from '@nestjs/common';
import { WakeableLoop, type NextRound, type Rest } from './wakeable-loop.js';

/** Rounds that end when a test says so. */
class Rounds {
  readonly begun: ((pause: Error | NextRound) => void)[] = [];

  readonly round = (): Promise<NextRound> =>
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

  describe('that rests', () => {
    const onNothing = jest.fn<void, [number]>();
    const rest: Rest = { everyMs: 1_000, looks: () => [], onNothing };
    beforeEach(() => onNothing.mockClear());
    const restFrom = async (pauseMs: number): Promise<void> => {
      loop.start();
      rounds.begun[0]!({ pauseMs, rest });
      await pass(0);
    };

    it('may be looked for in the place of its next round, when that is due soon', async () => {
      expect(loop.restsAndIsDueWithin(Infinity)).toBeNull();
      await restFrom(1_000);
      expect(loop.restsAndIsDueWithin(900)).toBeNull();
      await pass(100);
      expect(loop.restsAndIsDueWithin(900)).toBe(rest);
    });

    it('has its round all the same when nobody looks', async () => {
      await restFrom(1_000);
      await pass(1_000);
      expect(rounds.begun).toHaveLength(2);
      expect(loop.restsAndIsDueWithin(Infinity)).toBeNull();
    });

    it('rests on from a look that finds nothing, which counts as a round', async () => {
      const told = jest.fn();
      await restFrom(1_000);
      loop.onRound = told;
      await pass(800);
      const beganAt = performance.now();
      await pass(50);
      loop.restOn(rest, beganAt, Infinity);
      expect(told).toHaveBeenCalledTimes(1);
      expect(onNothing.mock.calls).toEqual([[Infinity]]);
      expect(loop.lastRound).toEqual({ beganAt, durationMs: 50, lagMs: 0, error: null });
      expect(loop.lookedAt).toBe(beganAt + 50);
      await pass(999);
      expect(rounds.begun).toHaveLength(1);
      expect(loop.lagMs).toBe(0);
      await pass(1);
      expect(rounds.begun).toHaveLength(2);
    });

    it('has its round when there will be something to do', async () => {
      await restFrom(1_000);
      loop.restOn(rest, performance.now(), 20.5);
      await pass(20);
      expect(rounds.begun).toHaveLength(1);
      await pass(1);
      expect(rounds.begun).toHaveLength(2);
    });

    it('has a round after five minutes, whatever looks find', async () => {
      await restFrom(1_000);
      for (let looks = 0; looks < 310; looks += 1) {
        await pass(990);
        if (loop.restsAndIsDueWithin(Infinity)) loop.restOn(rest, performance.now(), Infinity);
      }
      expect(rounds.begun).toHaveLength(2);
    });

    it('does not rest after a round that has failed, or that left something undone', async () => {
      await restFrom(1_000);
      loop.wake();
      rounds.begun[1]!(new Error('not now'));
      await pass(50);
      expect(loop.restsAndIsDueWithin(Infinity)).toBeNull();
      await pass(50);
      rounds.begun[2]!({ pauseMs: 1_000, overdueMs: 500 });
      await pass(0);
      expect(loop.restsAndIsDueWithin(Infinity)).toBeNull();
    });

    it('is not looked for once it has stopped', async () => {
      await restFrom(1_000);
      await loop.stop();
      expect(loop.restsAndIsDueWithin(Infinity)).toBeNull();
    });
  });
});

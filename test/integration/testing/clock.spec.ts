import { Injectable } from '@nestjs/common';
import {
  BackgroundTasks,
  currentRun,
  Flow,
  Flows,
  INPUTS,
  receiveInput,
  RunTimeoutError,
  sleep,
  Task,
  WorkPools,
} from '@nestor/orchestrator';
import {
  createTestingOrchestrator,
  type TestDatabase,
  type TestingOrchestrator,
  type TestingOrchestratorOptions,
} from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories } from '../../support/history.js';

const DAY_MS = 86_400_000;

/** How often something is tried at most that is to be fast. */
const ROUNDS = 10;

@Injectable()
class Patience {
  readonly attemptsAt: Date[] = [];
  now = (): Date => new Date();
  gate = new Gate();

  @Flow({ name: 'sleeping' })
  async sleeping(days: number): Promise<number> {
    for (let day = 0; day < days; day += 1) {
      await sleep('1d');
      this.attemptsAt.push(this.now());
    }
    return this.attemptsAt.length;
  }

  @Flow({ name: 'sleeping elsewhere' })
  async sleepingElsewhere(): Promise<number> {
    for (let week = 0; week < 4; week += 1) {
      await sleep('7d', { suspendAfter: '1h' });
      await this.note(week);
    }
    return this.attemptsAt.length;
  }

  @Task()
  async note(_week: number): Promise<void> {
    this.attemptsAt.push(this.now());
  }

  @Flow({ name: 'expecting' })
  async expecting(): Promise<unknown> {
    return receiveInput(String, { timeout: '3d' });
  }

  /** A month of retry delays of a task. */
  @Flow({ name: 'monthly' })
  async monthly(): Promise<number> {
    return this.daily();
  }

  @Task({ retries: 30, retryDelay: '1d' })
  async daily(): Promise<number> {
    this.attemptsAt.push(this.now());
    if (this.attemptsAt.length <= 30) throw new Error('not yet');
    return this.attemptsAt.length;
  }

  @Flow({ name: 'weekly', retries: 4, retryDelay: '7d' })
  async weekly(): Promise<Date[]> {
    this.attemptsAt.push(this.now());
    if (currentRun().attempt <= 4) throw new Error('not yet');
    return this.attemptsAt;
  }

  @Flow({ name: 'impatient', timeout: '10m' })
  async impatient(): Promise<void> {
    await this.gate.pass();
  }

  @Flow({ name: 'impatient between attempts', timeout: '1h' })
  async impatientBetweenAttempts(): Promise<number> {
    return this.daily();
  }

  @Flow({ name: 'outer' })
  async outer(): Promise<Date[]> {
    return this.weekly();
  }

  @Flow({ name: 'several' })
  async several(): Promise<number[]> {
    return Promise.all([this.daily(), this.hourly()]);
  }

  lookedUp = 0;
  @Task({ cachePolicy: INPUTS, cacheExpiration: '1d' })
  async rate(currency: string): Promise<string> {
    this.lookedUp += 1;
    return currency;
  }

  @Flow({ name: 'look up' })
  async lookUp(): Promise<string> {
    return this.rate('EUR');
  }

  hours = 0;
  @Task({ retries: 5, retryDelay: '1h' })
  async hourly(): Promise<number> {
    if ((this.hours += 1) <= 5) throw new Error('not yet');
    return this.hours;
  }
}

describe('the clock of a test', () => {
  let database: TestDatabase;
  let nestor: TestingOrchestrator;
  let patience: Patience;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());

  const start = async (options: Omit<TestingOrchestratorOptions, 'database'> = {}): Promise<void> => {
    nestor = await createTestingOrchestrator({ providers: [Patience], database, logger: false, ...options });
    patience = nestor.get(Patience);
    patience.now = () => nestor.clock.now();
  };
  afterEach(async () => {
    await nestor.close();
    expect(await illegalHistories(database)).toEqual([]);
  });
  const daysBetween = (times: readonly Date[]): number[] =>
    times.slice(1).map((time, index) => Math.round((time.getTime() - times[index]!.getTime()) / DAY_MS));

  describe('that skips by itself what everybody waits for', () => {
    beforeEach(() => start({ autoAdvance: true }));

    it('skips a month of retry delays in under a second', async () => {
      let best = Infinity; // of several, because others may have the processor just then
      for (let round = 0; round < ROUNDS && best >= 1_000; round += 1) {
        patience.attemptsAt.length = 0;
        const before = nestor.clock.now();
        const began = performance.now();
        expect(await patience.monthly()).toBe(31);
        best = Math.min(best, performance.now() - began);
        expect(nestor.clock.now().getTime() - before.getTime()).toBeGreaterThanOrEqual(30 * DAY_MS);
        expect(daysBetween(patience.attemptsAt)).toEqual(Array.from({ length: 30 }, () => 1));
      }
      expect(best).toBeLessThan(1_000);
    }, 60_000);

    it('skips a month of sleeps in under a second', async () => {
      let best = Infinity;
      for (let round = 0; round < ROUNDS && best >= 1_000; round += 1) {
        patience.attemptsAt.length = 0;
        const began = performance.now();
        expect(await patience.sleeping(30)).toBe(30);
        best = Math.min(best, performance.now() - began);
        expect(daysBetween(patience.attemptsAt)).toEqual(Array.from({ length: 29 }, () => 1));
      }
      expect(best).toBeLessThan(1_000);
    }, 60_000);

    it('skips sleeps of runs that left their process', async () => {
      const run = await nestor.flows.start(Patience, 'sleepingElsewhere');
      expect(await run.result()).toBe(4);
      expect(daysBetween(patience.attemptsAt)).toEqual([7, 7, 7]);
    });

    it.each(['weekly', 'outer'] as const)('skips the delays of flows: %s', async (flow) => {
      expect(daysBetween(await patience[flow]())).toEqual([7, 7, 7, 7]);
    });

    it('skips to background tasks, and to their next attempts', async () => {
      await start({ autoAdvance: true });
      const begun = nestor.clock.now().getTime();
      const run = await nestor.get(BackgroundTasks).with({ in: '30d' }).delay(Patience, 'hourly');
      expect(await run.result({ timeout: '10s' })).toBe(6);
      expect(nestor.clock.now().getTime() - begun).toBeGreaterThanOrEqual(30 * DAY_MS + 5 * 3_600_000);
    });

    it('skips to runs that wait in pools', async () => {
      await start({ autoAdvance: true, worker: { pools: ['slow'] } });
      const flows = nestor.get(Flows).with({ workPool: 'slow', in: '30d' });
      await nestor.get(WorkPools).createIfAbsent('slow');
      const run = await flows.enqueue(Patience, 'sleeping', 2);
      expect(await run.result({ timeout: '10s' })).toBe(2);
    });

    it('comes to each of several at its time', async () => {
      expect(await patience.several()).toEqual([31, 6]);
      expect(daysBetween(patience.attemptsAt)).toEqual(Array.from({ length: 30 }, () => 1));
    });

    it('lets time run out on the way that does so before what is waited for', async () => {
      await expect(patience.impatientBetweenAttempts()).rejects.toThrow(RunTimeoutError);
      expect(patience.attemptsAt).toHaveLength(1);
    });

    it('skips nothing while code is running', async () => {
      const run = await nestor.flows.start(Patience, 'impatient');
      const waiting = await nestor.flows.start(Patience, 'weekly');
      await patience.gate.reached;
      const before = nestor.clock.now().getTime();
      await nestor.clock.advance(1); // looks whether there is something to do, as the clock itself does all the time
      expect(nestor.clock.now().getTime() - before).toBeLessThan(DAY_MS);
      patience.gate.open();
      await run.result();
      expect(await waiting.result()).toHaveLength(5);
    });

    it('skips nothing while a run is paused, and goes on when it is resumed', async () => {
      const run = await nestor.flows.start(Patience, 'impatient');
      await patience.gate.reached;
      await nestor.control.suspend(run.id, { timeout: '1d' });
      patience.gate.open();
      const waiting = await nestor.flows.start(Patience, 'weekly');
      const before = nestor.clock.now().getTime();
      await nestor.clock.advance(1);
      expect(nestor.clock.now().getTime() - before).toBeLessThan(DAY_MS);
      patience.gate = new Gate();
      patience.gate.open();
      await nestor.control.resume(run.id);
      await run.result();
      expect(await waiting.result()).toHaveLength(5);
    });
  });

  describe('that is told what to skip', () => {
    it('skips no more than that', async () => {
      await start();
      const run = await nestor.flows.start(Patience, 'weekly');
      await nestor.clock.advance('13d');
      expect(patience.attemptsAt).toHaveLength(2);
      await nestor.clock.advance('2d');
      expect(patience.attemptsAt).toHaveLength(3);
      await nestor.clock.advance('14d');
      expect(daysBetween(await run.result())).toEqual([7, 7, 7, 7]);
    });

    /**
     * Skips hours until something has come about: what a machine that is busy with others comes to late
     * is begun at a later time.
     */
    const hoursUntil = async (hasCome: () => Promise<boolean>): Promise<void> => {
      for (let hour = 0; hour < 100 && !(await hasCome()); hour += 1) await nestor.clock.advance('1h');
      expect(await hasCome()).toBe(true);
    };

    it('comes to background tasks on its way, and to their next attempts', async () => {
      await start();
      const begun = nestor.clock.now().getTime();
      const run = await nestor.get(BackgroundTasks).with({ in: '3d' }).delay(Patience, 'hourly');
      await nestor.clock.advance('2d');
      expect(await run.state()).toMatchObject({ name: 'Scheduled' });
      await hoursUntil(async () => (await run.state())?.name === 'AwaitingRetry');
      expect(nestor.clock.now().getTime() - begun).toBeGreaterThanOrEqual(3 * DAY_MS);
      await hoursUntil(async () => (await run.state())?.name === 'Completed');
      expect(nestor.clock.now().getTime() - begun).toBeGreaterThanOrEqual(3 * DAY_MS + 5 * 3_600_000);
    });

    it('comes to runs that wait in pools on its way, and to no others', async () => {
      await start({ worker: { pools: ['slow'] } });
      await nestor.get(WorkPools).createIfAbsent('slow');
      await nestor.get(WorkPools).createIfAbsent('elsewhere');
      const enqueue = async (workPool: string): Promise<string> =>
        (await nestor.get(Flows).with({ workPool, in: '3d' }).enqueue(Patience, 'sleeping', 1)).id;
      const [id, other] = [await enqueue('slow'), await enqueue('elsewhere')];
      await nestor.clock.advance('2d');
      expect(await nestor.runs.get(id)).toMatchObject({ stateName: 'Scheduled' });
      await hoursUntil(async () => (await nestor.runs.get(id)).stateName === 'Completed');
      expect(await nestor.runs.get(other)).toMatchObject({ stateType: 'SCHEDULED' });
    });

    it('lets a method run out of time that does not come back', async () => {
      await start();
      const run = await nestor.flows.start(Patience, 'impatient');
      await patience.gate.reached;
      await nestor.clock.advance('11m');
      await expect(run.result()).rejects.toMatchObject({ code: 'RUN_TIMED_OUT' });
    });

    it('wakes up whoever sleeps, once for each sleep', async () => {
      await start();
      const run = await nestor.flows.start(Patience, 'sleeping', 10);
      await nestor.clock.advance('5d');
      await nestor.clock.advance('12h');
      expect(patience.attemptsAt).toHaveLength(5);
      await nestor.clock.advance('30d');
      expect(await run.result()).toBe(10);
      expect(daysBetween(patience.attemptsAt)).toEqual(Array.from({ length: 9 }, () => 1));
    });

    it('lets an input come too late', async () => {
      await start();
      const run = await nestor.flows.start(Patience, 'expecting');
      await nestor.clock.advance('4d');
      await expect(run.result()).rejects.toMatchObject({ code: 'INPUT_TIMED_OUT' });
    });

    it('lets what is remembered across runs expire', async () => {
      await start();
      await patience.lookUp();
      await nestor.clock.advance('23h');
      await patience.lookUp();
      expect(patience.lookedUp).toBe(1);
      await nestor.clock.advance('2h');
      await patience.lookUp();
      expect(patience.lookedUp).toBe(2);
    });

    it('lets a pause run out of time', async () => {
      await start();
      const run = await nestor.flows.start(Patience, 'impatient');
      await patience.gate.reached;
      await nestor.control.suspend(run.id, { timeout: '1d' });
      patience.gate.open();
      await nestor.clock.advance('25h');
      await expect(nestor.runs.result(run.id, { timeout: '20s' })).rejects.toMatchObject({ code: 'RUN_CRASHED' });
      expect(await nestor.runs.get(run.id)).toMatchObject({ stateType: 'FAILED' });
    });

    it('begins where it is set, and runs live by that time', async () => {
      await start({ now: '2031-05-01T08:00:00Z' });
      const run = await nestor.flows.start(Patience, 'weekly');
      await nestor.clock.set('2031-06-01T08:00:00Z');
      const [first] = await run.result();
      expect(first?.toISOString()).toMatch(/^2031-05-01T08:00:/);
      expect(nestor.clock.now().toISOString()).toMatch(/^2031-06-01T08:00:/);
    });

    it('goes back without confusing what happened before and after', async () => {
      await start({ now: '2031-05-01T08:00:00Z' });
      const run = await nestor.flows.start(Patience, 'weekly');
      await nestor.clock.advance('8d');
      await nestor.clock.set('2031-05-02T08:00:00Z');
      await nestor.clock.advance('40d');
      expect(await run.result()).toHaveLength(5);
    });
  });
});

import { Attempt } from './attempt.js';
import { RunTimeoutError } from './engine-errors.js';
import { payloadSettings } from '../payloads/payload-options.js';
import type { BatchedItemsRepository } from '../../records/flow-run-inputs/batched-items.repository.js';
import type { PayloadTable } from '../payloads/payload-table.js';
import { Payloads } from '../payloads/payloads.service.js';
import { failureMessage, outcomeOf as outcomeWith } from './outcome.js';

const NO_BATCHES = {} as BatchedItemsRepository;
const payloads = new Payloads(payloadSettings({}), {} as PayloadTable, NO_BATCHES);
const outcomeOf = (what: Parameters<typeof outcomeWith>[0], one: Attempt) => outcomeWith(what, one, payloads);
const attempt = (): Attempt => new Attempt('load-a1b', 1, null);
const body = (run: () => Promise<unknown>, timeoutMs: number | null = null) => ({
  subject: 'task "load"',
  runId: '01a201cf-f4dd-7000-98e7-1976c9bbcf07',
  run,
  timeoutMs,
  clearance: null,
});
const never = () => new Promise<never>(() => undefined);

describe('outcomeOf', () => {
  afterEach(() => jest.useRealTimers());

  it('a body that returns is its encoded value, and its attempt is over', async () => {
    const one = attempt();
    expect(
      await outcomeOf(
        body(async () => ({ a: 1n })),
        one,
      ),
    ).toEqual({
      kind: 'returned',
      encoded: '{"a":{"$nestor":"bigint","value":"1"}}',
      stored: '{"a":{"$nestor":"bigint","value":"1"}}',
      state: null,
    });
    expect(one.ended?.reason).toBe('its attempt is over');
  });

  it('a body that throws is its error itself', async () => {
    const error = new Error('no');
    expect(
      await outcomeOf(
        body(() => Promise.reject(error)),
        attempt(),
      ),
    ).toEqual({
      kind: 'threw',
      error,
      timedOut: false,
      state: null,
    });
  });

  it('a body that throws before it returns its promise is its error as well', async () => {
    const error = new Error('no');
    const run = (): never => {
      throw error;
    };
    expect(await outcomeOf(body(run), attempt())).toEqual({ kind: 'threw', error, timedOut: false, state: null });
  });

  it('a body that returns what cannot be recorded has thrown', async () => {
    expect(
      await outcomeOf(
        body(async () => ({ callback: () => 1 })),
        attempt(),
      ),
    ).toMatchObject({
      kind: 'threw',
      timedOut: false,
      state: null,
      error: { code: 'UNSERIALISABLE_VALUE', subject: 'result of task "load"' },
    });
  });

  describe('of a body that may not begin yet', () => {
    const waiting = () => {
      let goOn = (): void => undefined;
      const cleared = new Promise<void>((resolve) => (goOn = resolve));
      const answers: (Promise<void> | null)[] = [cleared, null];
      return { goOn, clearance: () => answers.shift() ?? null };
    };

    it('begins when it may, and has its time from then on', async () => {
      jest.useFakeTimers();
      const { goOn, clearance } = waiting();
      let began = false;
      const run = async (): Promise<void> => void (began = true);
      const outcome = outcomeOf({ ...body(run, 100), clearance }, attempt());
      await jest.advanceTimersByTimeAsync(1_000);
      expect(began).toBe(false);
      goOn();
      expect(await outcome).toMatchObject({ kind: 'returned' });
      expect(began).toBe(true);
    });

    it('does not begin when its attempt has ended meanwhile', async () => {
      const { goOn, clearance } = waiting();
      const one = attempt();
      const run = jest.fn(async () => undefined);
      const outcome = outcomeOf({ ...body(run), clearance }, one);
      one.end('the application shut down', 'handed-back');
      expect(await outcome).toMatchObject({ kind: 'cut-off', end: { kind: 'handed-back' } });
      goOn();
      await new Promise(setImmediate);
      expect(run).not.toHaveBeenCalled();
    });
  });

  describe('a body that takes longer than its timeout', () => {
    it.each([1_000, 60 * 86_400_000])('has timed out after %d ms, not before', async (timeoutMs) => {
      jest.useFakeTimers();
      const one = attempt();
      let outcome: unknown;
      void outcomeOf(body(never, timeoutMs), one).then((settled) => (outcome = settled));
      await jest.advanceTimersByTimeAsync(timeoutMs - 1);
      expect(outcome).toBeUndefined();
      expect(one.ended).toBeNull();

      await jest.advanceTimersByTimeAsync(1);
      expect(outcome).toMatchObject({ kind: 'threw', timedOut: true, state: null });
      expect((outcome as { error: unknown }).error).toBeInstanceOf(RunTimeoutError);
      expect(one.ended?.reason).toBe('it timed out');
    });

    it('is not listened to any more', async () => {
      jest.useFakeTimers();
      let fail: (error: Error) => void = () => undefined;
      const settled = outcomeOf(
        body(() => new Promise((_, reject) => (fail = reject)), 10),
        attempt(),
      );
      await jest.advanceTimersByTimeAsync(10);
      fail(new Error('too late'));
      expect(await settled).toMatchObject({ kind: 'threw', timedOut: true, state: null });
    });
  });

  it('leaves no timer behind when the body is faster', async () => {
    jest.useFakeTimers();
    await outcomeOf(
      body(async () => 1, 60_000),
      attempt(),
    );
    expect(jest.getTimerCount()).toBe(0);
  });

  it('a body that is cut off is that, and what it does afterwards does not count', async () => {
    const one = attempt();
    let succeed: (value: number) => void = () => undefined;
    const settled = outcomeOf(
      body(() => new Promise((resolve) => (succeed = resolve))),
      one,
    );
    one.end('cancelled');
    succeed(1);
    expect(await settled).toEqual({ kind: 'cut-off', end: one.ended });
    expect(one.ended?.reason).toBe('cancelled');
  });

  describe('a body whose result does not fit into its row', () => {
    const kept = (put: () => Promise<void>): Payloads => {
      const store = { name: 'slow', put, get: async () => null, delete: async () => undefined };
      return new Payloads(payloadSettings({ payloads: { inlineLimit: 0, store } }), {} as PayloadTable, NO_BATCHES);
    };

    it('has returned when the result is kept, and its time is up no more', async () => {
      jest.useFakeTimers();
      let keep: () => void = () => undefined;
      const one = attempt();
      const settled = outcomeWith(
        body(async () => 1, 10),
        one,
        kept(() => new Promise((resolve) => (keep = resolve))),
      );
      await jest.advanceTimersByTimeAsync(1_000);
      expect(one.ended?.reason).toBe('its attempt is over');
      keep();
      expect(await settled).toEqual({
        kind: 'returned',
        encoded: '1',
        stored: expect.stringContaining('"store":"slow"'),
        state: null,
      });
    });

    it('has thrown when it cannot be kept', async () => {
      const failing = kept(() => Promise.reject(new Error('no space left')));
      expect(
        await outcomeWith(
          body(async () => 1),
          attempt(),
          failing,
        ),
      ).toMatchObject({
        kind: 'threw',
        error: { code: 'PAYLOAD_STORE_FAILED', message: expect.stringMatching(/result of task "load".*no space left/) },
      });
    });
  });

  it('the body of an attempt that is over is not run', async () => {
    const one = attempt();
    one.end('cancelled');
    let ran = false;
    expect(
      await outcomeOf(
        body(async () => (ran = true)),
        one,
      ),
    ).toEqual({ kind: 'cut-off', end: one.ended });
    expect(ran).toBe(false);
  });
});

describe('failureMessage', () => {
  const nameless = Object.assign(new Error('no'), { name: Symbol('odd') });
  const throwing = {
    toString() {
      throw new Error('not even that');
    },
  };

  it.each<[string, unknown, string]>([
    ['an error', new TypeError('x is not a function'), 'TypeError: x is not a function'],
    ['an error without a message', new Error(), 'Error: '],
    ['text', 'boom', 'Thrown: boom'],
    ['a number', 7, 'Thrown: 7'],
    ['nothing', undefined, 'Thrown: undefined'],
    ['null', null, 'Thrown: null'],
    ['a symbol', Symbol('s'), 'Thrown: Symbol(s)'],
    ['a plain object', { a: 1 }, 'Thrown: [object Object]'],
    ['an object without a prototype', Object.create(null), 'Thrown: an object that cannot be shown'],
    ['an object whose text throws', throwing, 'Thrown: an object that cannot be shown'],
    ['an error whose name is no text', nameless, 'Thrown: an object that cannot be shown'],
    ['an error with NUL, which PostgreSQL does not take', new Error('a\0b'), 'Error: a\\0b'],
  ])('of %s', (_, error, expected) => {
    expect(failureMessage(error)).toBe(expected);
  });

  it('is cut where nobody would read on', () => {
    const message = failureMessage(new Error('x'.repeat(20_000)));
    expect(message).toHaveLength(10_001);
    expect(message.endsWith('x…')).toBe(true);
  });
});

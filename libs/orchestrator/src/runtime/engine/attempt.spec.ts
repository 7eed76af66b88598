import { LeaseLostError } from '../leases/run-lease.js';
import { Attempt, goesOnElsewhere, type AttemptEnd } from './attempt.js';
import { RunCancelledError, RunEndedError, RunHandedBackError, RunSuspendedError } from './engine-errors.js';

describe('an attempt', () => {
  it('is live until it is ended', () => {
    const attempt = new Attempt('etl', 1, null);
    expect(attempt.ended).toBeNull();
    expect(() => attempt.assertLive()).not.toThrow();
    expect(attempt.signal.aborted).toBe(false);
  });

  it('that is ended refuses whatever its code still starts, and says why', () => {
    const attempt = new Attempt('etl', 1, null);
    attempt.end('it timed out');
    expect(() => attempt.assertLive()).toThrow(RunEndedError);
    expect(attempt.ended).toEqual({ kind: 'over', reason: 'it timed out' });
    expect(attempt.endError).toMatchObject({ code: 'RUN_ENDED', runName: 'etl', reason: 'it timed out' });
  });

  it('aborts its signal when it ends, with the error', () => {
    const attempt = new Attempt('etl', 1, null);
    const { signal } = attempt;
    attempt.end('it timed out');
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(attempt.endError);
  });

  it('gives an aborted signal to whoever asks only afterwards', () => {
    const attempt = new Attempt('etl', 1, null);
    attempt.end('it timed out');
    expect(attempt.signal.aborted).toBe(true);
    expect(attempt.signal.reason).toBe(attempt.endError);
    expect(attempt.signal).toBe(attempt.signal);
  });

  it('has ended for the first reason it was given', () => {
    const attempt = new Attempt('etl', 1, null);
    const told: string[] = [];
    attempt.onCutOff = ({ reason }) => told.push(reason);
    attempt.end('first');
    attempt.end('second');
    expect(attempt.ended?.reason).toBe('first');
    expect(told).toEqual(['first']);
  });

  it('that is live has not ended, and aborts no signal that somebody asks for', () => {
    const attempt = new Attempt('etl', 1, null);
    const { signal } = attempt;
    expect([signal.aborted, attempt.signal]).toEqual([false, signal]);
  });

  describe.each<[AttemptEnd['kind'], new (...args: never[]) => Error, boolean]>([
    ['over', RunEndedError, false],
    ['cancelled', RunCancelledError, false],
    ['handed-back', RunHandedBackError, true],
    ['suspended', RunSuspendedError, true],
    ['lease-lost', LeaseLostError, true],
  ])('of a flow run that is %s', (kind, type, elsewhere) => {
    const ended = (): Attempt => {
      const flow = new Attempt('etl', 1, null, 'run-1');
      const task = new Attempt('load', 1, flow);
      flow.end('so it is', kind);
      return task;
    };

    it('gives its calls, and those of the tasks within it, an error that says so and of which run', () => {
      const { endError } = ended();
      expect(endError).toBeInstanceOf(type);
      if (kind !== 'over') expect(endError).toMatchObject({ flowRunId: 'run-1' });
      expect(() => ended().assertLive()).toThrow(type);
    });

    it(`${elsewhere ? 'goes' : 'does not go'} on elsewhere`, () => {
      expect(goesOnElsewhere(ended().ended!)).toBe(elsewhere);
    });
  });

  it('outside any flow run has ended whatever the reason: there is no run that could go on', () => {
    const application = new Attempt('the application', 1, null);
    const task = new Attempt('load', 1, application);
    application.end('the application shut down', 'handed-back');
    expect(task.endError).toBeInstanceOf(RunEndedError);
  });

  it('gives its error once, however often somebody asks', () => {
    const attempt = new Attempt('etl', 1, null, 'run-1');
    attempt.end('cancelled', 'cancelled');
    expect(attempt.endError).toBe(attempt.endError);
  });

  describe('that is asked to end', () => {
    const grace = (): { promise: Promise<void>; isOver: () => void } => {
      let isOver = (): void => undefined;
      const promise = new Promise<void>((resolve) => (isOver = resolve));
      return { promise, isOver };
    };

    it('starts nothing more and fires its signal at once, but is cut off only when its grace is over', async () => {
      const attempt = new Attempt('etl', 1, null, 'run-1');
      const { signal } = attempt;
      const told: AttemptEnd[] = [];
      attempt.onCutOff = (end) => told.push(end);
      const { promise, isOver } = grace();
      attempt.wind('Cancelled', 'cancelled', promise);
      expect(() => attempt.assertLive()).toThrow(RunCancelledError);
      expect(signal.aborted).toBe(true);
      await Promise.resolve();
      expect(told).toEqual([]);

      isOver();
      await promise;
      expect(told).toEqual([{ kind: 'cancelled', reason: 'Cancelled' }]);
    });

    it('is not cut off any more once its body has settled', async () => {
      const attempt = new Attempt('etl', 1, null);
      let isCutOff = false;
      attempt.onCutOff = () => (isCutOff = true);
      const { promise, isOver } = grace();
      attempt.wind('Cancelled', 'cancelled', promise);
      attempt.onCutOff = null; // as `outcomeOf` does when the body settles
      isOver();
      await promise;
      expect(isCutOff).toBe(false);
    });

    it('asks those within it as well, each of which has the same grace', async () => {
      const outer = new Attempt('etl', 1, null);
      const inner = new Attempt('load', 1, outer);
      let isCutOff = false;
      inner.onCutOff = () => (isCutOff = true);
      const { promise, isOver } = grace();
      outer.wind('Cancelled', 'cancelled', promise);
      expect([inner.signal.aborted, isCutOff]).toEqual([true, false]);
      isOver();
      await promise;
      expect(isCutOff).toBe(true);
    });
  });

  describe('only waits', () => {
    const waitersAre = (...waiting: Attempt[]) => {
      const signals = waiting.map(({ signal }) => signal);
      return (signal: AbortSignal): boolean => signals.includes(signal);
    };

    it('when it waits itself and has called nothing else', () => {
      const attempt = new Attempt('etl', 1, null);
      expect(attempt.onlyWaits(waitersAre())).toBe(false);
      expect(attempt.onlyWaits(waitersAre(attempt))).toBe(true);
    });

    it('when all it has called do, at whatever depth', () => {
      const outer = new Attempt('etl', 1, null);
      const [one, other] = [new Attempt('load', 1, outer), new Attempt('store', 1, outer)];
      const inner = new Attempt('read', 1, other);
      expect(outer.onlyWaits(waitersAre(one, inner))).toBe(true);
      expect(outer.onlyWaits(waitersAre(one, outer))).toBe(false);
      one.finish();
      expect(outer.onlyWaits(waitersAre(inner))).toBe(true);
    });
  });

  describe('within another', () => {
    it('ends with it, however deep, and tells whoever listens', () => {
      const outer = new Attempt('etl', 1, null);
      const inner = new Attempt('load', 1, outer);
      const innermost = new Attempt('read', 1, inner);
      const told: string[] = [];
      innermost.onCutOff = ({ kind, reason }) => told.push(`${kind}: ${reason}`);
      outer.end('cancelled');
      expect(inner.endError).toMatchObject({ runName: 'load', reason: 'cancelled' });
      expect(innermost.signal.aborted).toBe(true);
      expect(told).toEqual(['over: cancelled']);
    });

    it('ends alone when it ends by itself', () => {
      const outer = new Attempt('etl', 1, null);
      const [one, other] = [new Attempt('load', 1, outer), new Attempt('load', 1, outer)];
      one.end('it is done');
      expect([outer.ended, other.ended]).toEqual([null, null]);
      outer.end('cancelled');
      expect([one.ended?.reason, other.ended?.reason]).toEqual(['it is done', 'cancelled']);
    });

    it('is forgotten by it once it has ended: a long run does not collect its tasks', () => {
      const outer = new Attempt('etl', 1, null);
      Array.from({ length: 100 }, () => new Attempt('load', 1, outer)).forEach((one) => one.end('it is done'));
      expect((outer as unknown as { children: Set<Attempt> }).children.size).toBe(0);
    });

    it('is over from the start when the other is over', () => {
      const outer = new Attempt('etl', 1, null);
      outer.end('it timed out');
      const late = new Attempt('load', 2, outer);
      expect(late.ended).toEqual({ kind: 'over', reason: 'it timed out' });
      expect(late.endError).toMatchObject({ runName: 'load', reason: 'it timed out' });
      expect(late.signal.aborted).toBe(true);
      expect(() => late.assertLive()).toThrow(RunEndedError);
    });
  });
});

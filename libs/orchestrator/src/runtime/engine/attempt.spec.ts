import { Attempt } from './attempt.js';
import { RunEndedError } from './engine-errors.js';

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
    expect(attempt.ended).toMatchObject({ code: 'RUN_ENDED', runName: 'etl', reason: 'it timed out' });
  });

  it('aborts its signal when it ends, with the error', () => {
    const attempt = new Attempt('etl', 1, null);
    const { signal } = attempt;
    attempt.end('it timed out');
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toBe(attempt.ended);
  });

  it('gives an aborted signal to whoever asks only afterwards', () => {
    const attempt = new Attempt('etl', 1, null);
    attempt.end('it timed out');
    expect(attempt.signal.aborted).toBe(true);
    expect(attempt.signal.reason).toBe(attempt.ended);
    expect(attempt.signal).toBe(attempt.signal);
  });

  it('has ended for the first reason it was given', () => {
    const attempt = new Attempt('etl', 1, null);
    const told: string[] = [];
    attempt.onCutOff = (error) => told.push(error.reason);
    attempt.end('first');
    attempt.end('second');
    expect(attempt.ended?.reason).toBe('first');
    expect(told).toEqual(['first']);
  });

  describe('within another', () => {
    it('ends with it, however deep, and tells whoever listens', () => {
      const outer = new Attempt('etl', 1, null);
      const inner = new Attempt('load', 1, outer);
      const innermost = new Attempt('read', 1, inner);
      const told: string[] = [];
      innermost.onCutOff = (error) => told.push(`${error.runName}: ${error.reason}`);
      outer.end('cancelled');
      expect(inner.ended).toMatchObject({ runName: 'load', reason: 'cancelled' });
      expect(innermost.signal.aborted).toBe(true);
      expect(told).toEqual(['read: cancelled']);
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
      const children = (outer as unknown as { children: Set<Attempt> }).children;
      Array.from({ length: 100 }, () => new Attempt('load', 1, outer)).forEach((one) => one.end('it is done'));
      expect(children.size).toBe(0);
    });

    it('is over from the start when the other is over', () => {
      const outer = new Attempt('etl', 1, null);
      outer.end('it timed out');
      const late = new Attempt('load', 2, outer);
      expect(late.ended).toMatchObject({ runName: 'load', reason: 'it timed out' });
      expect(late.signal.aborted).toBe(true);
      expect(() => late.assertLive()).toThrow(RunEndedError);
    });
  });
});

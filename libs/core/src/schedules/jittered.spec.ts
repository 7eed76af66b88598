import * as fc from 'fast-check';
import { addMs, instantOfMs } from '../time/instant.js';
import { jittered } from './jittered.js';

const NOON = instantOfMs(Date.UTC(2026, 0, 1, 12));

describe('jittered', () => {
  it('is within the jitter, and the same each time', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.integer({ min: 0, max: 86_400_000 }), (seed, maxJitterMs) => {
        const instant = jittered(NOON, maxJitterMs, seed);
        expect(instant).toBe(jittered(NOON, maxJitterMs, seed));
        expect(instant).toBeGreaterThanOrEqual(NOON);
        expect(instant === NOON || instant < addMs(NOON, maxJitterMs)).toBe(true);
      }),
    );
  });

  it('is none when none is wanted', () => {
    expect(jittered(NOON, 0, 'schedule')).toBe(NOON);
  });

  it.each<[what: string, delayMs: (index: number) => number]>([
    ['schedules', (index) => jittered(NOON, 60_000, `schedule ${index}`) - NOON],
    [
      'instants of one schedule',
      (index) => jittered(addMs(NOON, index * 60_000), 60_000, 's') - addMs(NOON, index * 60_000),
    ],
  ])('spreads %s evenly', (_, delay) => {
    const buckets = new Array<number>(10).fill(0);
    for (let index = 0; index < 10_000; index++) buckets[Math.floor(delay(index) / 6_000_000)]!++;
    expect(Math.min(...buckets)).toBeGreaterThan(850);
    expect(Math.max(...buckets)).toBeLessThan(1_150);
  });
});

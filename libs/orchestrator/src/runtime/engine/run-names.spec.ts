import { newId } from '../../persistence/ids.js';
import { nameOfRun } from './run-names.js';

describe('nameOfRun', () => {
  it('is two words', () => {
    for (let round = 0; round < 1_000; round += 1) expect(nameOfRun(newId())).toMatch(/^[a-z]+-[a-z]+$/);
  });

  it('is the same for the same id', () => {
    const id = newId();
    expect(nameOfRun(id)).toBe(nameOfRun(id));
  });

  it('uses all its words, each about as often as the others', () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 20_000; round += 1) {
      for (const word of nameOfRun(newId()).split('-')) counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    // 20,000 draws from 64 or so words are some 310 each; 12 standard deviations of room on either side.
    expect(counts.size).toBeGreaterThan(120);
    expect(Math.min(...counts.values())).toBeGreaterThan(100);
    expect(Math.max(...counts.values())).toBeLessThan(700);
  });

  it.each(['00000000-0000-7000-8000-000000000000', 'ffffffff-ffff-7fff-bfff-ffffffffffff'])(
    'is there for the extremes as well: %s',
    (id) => {
      expect(nameOfRun(id)).toMatch(/^[a-z]+-[a-z]+$/);
    },
  );
});

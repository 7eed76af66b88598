import { batchSize } from './journal-batch.js';
import type { QueuedEntry } from './journal-entry.js';

/** An entry of which only the size of its outcome matters. */
function outcomeOf(characters: number): QueuedEntry {
  const entry = { kind: 'save-task-run', write: { result: 'x'.repeat(characters) } };
  return { entry, settle: null, fail: () => undefined } as unknown as QueuedEntry;
}

describe('the size of a flush', () => {
  it.each([
    ['takes what there is', Array.from({ length: 3 }, () => outcomeOf(10)), 3],
    ['takes a thousand entries at most', Array.from({ length: 1_200 }, () => outcomeOf(1)), 1_000],
    ['takes fewer when their outcomes are large', Array.from({ length: 5 }, () => outcomeOf(6_000_000)), 2],
    ['takes one entry, however large', [outcomeOf(20_000_000), outcomeOf(1)], 1],
  ])('%s', (_, queue, expected) => {
    expect(batchSize(queue)).toBe(expected);
  });
});

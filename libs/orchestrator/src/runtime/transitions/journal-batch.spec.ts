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

  const moveOf = (from: string, to: string, over: { run?: string; lease?: object } = {}): QueuedEntry => {
    const { run = 'one', lease = null } = over;
    const move = { run: { id: run, state: { id: to } }, expectedStateId: from, result: null };
    return { entry: { kind: 'move-flow-run', lease, move } } as unknown as QueuedEntry;
  };
  it.each([
    ['takes moves of a run that follow each other', [moveOf('a', 'b'), moveOf('b', 'c'), moveOf('c', 'd')], 3],
    ['takes moves of several runs', [moveOf('a', 'b'), moveOf('a', 'b', { run: 'two' })], 2],
    [
      'ends before a move that was decided from another state',
      [moveOf('a', 'b'), moveOf('a', 'c'), moveOf('c', 'd')],
      1,
    ],
    ['ends before a move on behalf of somebody else', [moveOf('a', 'b'), moveOf('b', 'c', { lease: {} })], 1],
  ])('%s', (_, queue, expected) => {
    expect(batchSize(queue)).toBe(expected);
  });
});

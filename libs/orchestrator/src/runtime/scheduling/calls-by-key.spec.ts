import { AsyncLocalStorage } from 'node:async_hooks';
import { CallsByKey } from './calls-by-key.js';

/** Answers with what was called, once it is let go on. */
class Answers {
  readonly groups: string[][] = [];
  private readonly held: (() => void)[] = [];
  holds = false;

  readonly of = async (calls: readonly string[]): Promise<readonly string[]> => {
    this.groups.push([...calls]);
    if (this.holds) await new Promise<void>((resolve) => this.held.push(resolve));
    if (calls.includes('bad')) throw new Error('refused');
    return calls.map((call) => call.toUpperCase());
  };

  goOn(): void {
    this.holds = false;
    for (const go of this.held.splice(0)) go();
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('calls that are answered by key', () => {
  let answers: Answers;
  let calls: CallsByKey<string, string>;

  beforeEach(() => {
    answers = new Answers();
    calls = new CallsByKey((group) => answers.of(group));
  });

  it('are answered together where they come together, each with its own answer', async () => {
    expect(await Promise.all(['a', 'b', 'c'].map((call) => calls.call('key', call)))).toEqual(['A', 'B', 'C']);
    expect(answers.groups).toEqual([['a', 'b', 'c']]);
  });

  it('collect while those before them are answered, and wait for no other key', async () => {
    answers.holds = true;
    const first = calls.call('key', 'a');
    await turn();
    const later = ['b', 'c'].map((call) => calls.call('key', call));
    const other = calls.call('other', 'd');
    await turn();
    expect(answers.groups).toEqual([['a'], ['d']]);
    answers.goOn();
    expect(await Promise.all([first, ...later, other])).toEqual(['A', 'B', 'C', 'D']);
    expect(answers.groups).toEqual([['a'], ['d'], ['b', 'c']]);
  });

  it('are a thousand at a time at most', async () => {
    const many = Array.from({ length: 1_001 }, (_, n) => `${n}`);
    expect(await Promise.all(many.map((call) => calls.call('key', call)))).toEqual(many);
    expect(answers.groups.map(({ length }) => length)).toEqual([1_000, 1]);
  });

  it('fail alone', async () => {
    const all = await Promise.allSettled(['a', 'bad', 'c'].map((call) => calls.call('key', call)));
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await calls.call('key', 'd')).toBe('D');
  });

  it('are answered outside whatever the callers are within', async () => {
    const around = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const looking = new CallsByKey<string, string>(async (group) => {
      seen.push(around.getStore());
      return group;
    });
    await around.run('a caller', () => looking.call('key', 'a'));
    expect(seen).toEqual([undefined]);
  });
});

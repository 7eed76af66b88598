import { AsyncResource } from 'node:async_hooks';

/** So many calls are answered together at most. */
const MOST = 1_000;

/** A call on its way, and who waits for its answer. */
interface Waiting<Call, Answer> {
  readonly call: Call;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit by key: while the calls of a key are being answered, further ones collect, and are answered together after them.
 * So many calls at once cost a handful of transactions, and one call costs one.
 */
export class CallsByKey<Call, Answer> {
  private readonly waiting = new Map<string, Waiting<Call, Answer>[]>();
  /** Calls are made within runs, which are no matter of what is done for others. */
  private readonly outside = new AsyncResource('CallsByKey');

  /** @param answers gives what the calls get, in their order; asked again for each alone where it fails for several. */
  constructor(private readonly answers: (calls: readonly Call[]) => Promise<readonly Answer[]>) {}

  call(key: string, call: Call): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const one = { call, resolve, reject };
      const others = this.waiting.get(key);
      if (others) return void others.push(one);
      this.waiting.set(key, [one]);
      // After this turn of the event loop, so that everything that comes in it goes along.
      this.outside.runInAsyncScope(() => setImmediate(() => void this.answerAll(key)));
    });
  }

  private async answerAll(key: string): Promise<void> {
    for (;;) {
      const group = this.waiting.get(key)?.splice(0, MOST) ?? [];
      if (group.length === 0) return void this.waiting.delete(key);
      await this.answer(group);
    }
  }

  /** Never rejects: each hears of its own. */
  private async answer(group: readonly Waiting<Call, Answer>[]): Promise<void> {
    try {
      const answers = await this.answers(group.map(({ call }) => call));
      group.forEach(({ resolve }, index) => resolve(answers[index] as Answer));
    } catch (error) {
      if (group.length === 1) group[0]?.reject(error);
      else for (const one of group) await this.answer([one]); // what one of them is refused for is no matter of the others
    }
  }
}

import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  currentRun,
  Flow,
  INPUTS,
  NoCurrentRunError,
  Results,
  RunControl,
  Task,
  transaction,
  type TransactionContext,
  type TransactionHandle,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { stateNames, taskRunsOf, type StoredTaskRun } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Bank {
  readonly log: string[] = [];
  body: () => Promise<unknown> = async () => undefined;

  @Flow({ name: 'bank' })
  async run(): Promise<unknown> {
    return this.body();
  }

  @Flow({ name: 'bank twice', retries: 1 })
  async runTwice(): Promise<unknown> {
    return this.body();
  }

  @Task<Bank['book']>({
    onCommit: ({ args: [entry] }) => void Bank.instance.log.push(`commit ${entry}`),
    onRollback: 'unbook',
  })
  async book(entry: string): Promise<string> {
    this.log.push(`book ${entry}`);
    return `booked ${entry}`;
  }

  async unbook({ args: [entry], result, get }: TransactionContext<[string], string>): Promise<void> {
    const reason = get('reason') as string | undefined;
    this.log.push(`unbook ${entry} (${result})${reason === undefined ? '' : ` because ${reason}`}`);
    if (entry === 'stuck') throw new Error('It cannot be taken back.');
  }

  @Task({ onRollback: 'mend' })
  async breakDown(): Promise<void> {
    throw new Error('broken');
  }

  async mend(): Promise<void> {
    this.log.push('mend');
  }

  @Task({ cachePolicy: INPUTS })
  async remembered(value: string): Promise<string> {
    this.log.push(`remembered ${value}`);
    return value;
  }

  @Task<Bank['refuse']>({ onCommit: () => Promise.reject(new Error('The commit is refused.')), onRollback: 'mend' })
  async refuse(): Promise<void> {}

  @Task()
  async around(): Promise<void> {
    await this.book('inner');
    throw new Error('after inner');
  }

  static instance: Bank;
}

describe('a transaction', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let bank: Bank;

  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Bank] });
    bank = Bank.instance = app.get(Bank);
  });
  beforeEach(() => void bank.log.splice(0));
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const play = async <T>(
    body: () => Promise<T>,
  ): Promise<{ outcome: T | Error; id: string; tasks: StoredTaskRun[] }> => {
    let id = '';
    bank.body = () => {
      id = currentRun().flowRunId!;
      return body();
    };
    const outcome = (await bank.run().catch((error: Error) => error)) as T | Error;
    return { outcome, id, tasks: await taskRunsOf(database, id) };
  };
  const failing = async (): Promise<never> => {
    throw new Error('too much');
  };

  it('commits its tasks when it ends, in their order [C17] [C18]', async () => {
    const { outcome } = await play(() =>
      transaction(async () => {
        await bank.book('a');
        await bank.book('b');
        bank.log.push('end');
        return 'done';
      }),
    );
    expect(outcome).toBe('done');
    expect(bank.log).toEqual(['book a', 'book b', 'end', 'commit a', 'commit b']);
  });

  it('takes them back when it fails, the last one first, and marks them [C18] [C21]', async () => {
    const { outcome, tasks } = await play(() =>
      transaction(async (txn) => {
        await bank.book('a');
        await bank.book('b');
        txn.set('reason', 'money');
        await failing();
      }),
    );
    expect(outcome).toMatchObject({ message: 'too much' });
    expect(bank.log).toEqual([
      'book a',
      'book b',
      'unbook b (booked b) because money',
      'unbook a (booked a) because money',
    ]);
    expect(
      tasks.map(({ name, state_type, state_name }) => [name.replace(/-...$/, ''), state_type, state_name]),
    ).toEqual([
      ['book', 'COMPLETED', 'RolledBack'],
      ['book', 'COMPLETED', 'RolledBack'],
      ['book rollback', 'COMPLETED', 'Completed'],
      ['book rollback', 'COMPLETED', 'Completed'],
    ]);
    expect(await stateNames(database, tasks[0]!.id)).toEqual(['Pending', 'Running', 'Completed', 'RolledBack']);
    expect(tasks[0]!.result).toBe('booked a');
  });

  it('goes on taking back when a hook fails', async () => {
    await play(() =>
      transaction(async () => {
        await bank.book('a');
        await bank.book('stuck');
        await failing();
      }),
    );
    expect(bank.log.slice(2)).toEqual(['unbook stuck (booked stuck)', 'unbook a (booked a)']);
  });

  it.each([
    ['lazy', ['book a', 'in between', 'unbook a (booked a)']],
    ['eager', ['book a', 'commit a', 'in between']],
    ['off', ['book a', 'unbook a (booked a)', 'in between']],
  ] as const)('within another one that fails, in mode %s [C17]', async (commitMode, expected) => {
    await play(() =>
      transaction(async () => {
        await transaction({ commitMode }, () => bank.book('a'));
        bank.log.push('in between');
        await failing();
      }),
    );
    expect(bank.log).toEqual(expected);
  });

  it('takes back the one around it as well when it fails, also where the error is caught [C19]', async () => {
    const { outcome } = await play(() =>
      transaction(async () => {
        await bank.book('outer');
        await transaction(async () => {
          await bank.book('inner');
          await failing();
        }).catch(() => undefined);
        return 'caught';
      }),
    );
    expect(outcome).toBe('caught');
    expect(bank.log.slice(2)).toEqual(['unbook inner (booked inner)', 'unbook outer (booked outer)']);
  });

  it('hands copies of values down to those within it [C19]', async () => {
    const seen: unknown[] = [];
    await play(() =>
      transaction(async (outer) => {
        const list = [1];
        outer.set('list', list);
        list.push(2);
        await transaction(async (inner) => {
          seen.push(inner.get('list'), inner.get('nothing'));
          inner.set('list', [3]);
          seen.push(inner.get('list'));
        });
        seen.push(outer.get('list'));
      }),
    );
    expect(seen).toEqual([[1], undefined, [3], [1]]);
  });

  it('that is refused by a commit hook is taken back, and fails', async () => {
    const { outcome } = await play(() =>
      transaction(async () => {
        await bank.book('a');
        await bank.refuse();
      }),
    );
    expect(outcome).toMatchObject({ message: 'The commit is refused.' });
    expect(bank.log).toEqual(['book a', 'commit a', 'mend', 'unbook a (booked a)']);
  });

  it('remembers outcomes when it commits, and not before [C17]', async () => {
    const results = app.get(Results);
    await play(() => transaction(() => bank.remembered('x')).then(failing));
    await play(() => transaction(() => bank.remembered('y').then(failing)));
    await play(async () => [await bank.remembered('x'), await bank.remembered('y')]);
    expect(bank.log).toEqual(['remembered x', 'remembered y', 'remembered y']);
    expect(await results.find('nothing')).toBeUndefined();
  });

  it('without anything around a task is the task alone: it commits at once, and mends its own failure', async () => {
    await play(async () => {
      await bank.book('a');
      await bank.breakDown();
    });
    expect(bank.log).toEqual(['book a', 'commit a', 'mend']);
  });

  it('takes back what a task called that failed itself', async () => {
    await play(() => transaction(() => bank.around()));
    expect(bank.log).toEqual(['book inner', 'unbook inner (booked inner)']);
  });

  it('runs tasks again that were taken back, when the flow is tried again', async () => {
    let attempts = 0;
    bank.body = () =>
      transaction(async () => {
        await bank.book('a');
        attempts += 1;
        if (attempts === 1) await failing();
        return attempts;
      });
    expect(await bank.runTwice()).toBe(2);
    expect(bank.log).toEqual(['book a', 'unbook a (booked a)', 'book a', 'commit a']);
  });

  describe('with a key', () => {
    it('is found committed by the next one, with its value [C20]', async () => {
      const work = async (txn: TransactionHandle): Promise<unknown> => {
        if (txn.isCommitted) return txn.value;
        await bank.book('once');
        txn.stage({ total: 5 });
        return 'new';
      };
      expect((await play(() => transaction({ key: 'once' }, work))).outcome).toBe('new');
      expect((await play(() => transaction({ key: 'once' }, work))).outcome).toEqual({ total: 5 });
      expect((await play(() => transaction({ key: 'once', overwrite: true }, work))).outcome).toBe('new');
      expect(await app.get(Results).find('once')).toEqual({ total: 5 });
    });

    it('is not found when it was taken back [C20]', async () => {
      await play(() => transaction({ key: 'twice' }, failing));
      const { outcome } = await play(() => transaction({ key: 'twice' }, async (txn) => txn.isCommitted));
      expect(outcome).toBe(false);
    });

    it('waits for another one under the same key where that is asked for [C20]', async () => {
      const gate = new Gate();
      const options = { key: 'serial', isolation: 'serializable' } as const;
      const log: string[] = [];
      bank.body = () =>
        transaction(options, async (txn) => {
          if (txn.isCommitted) return log.push(`found ${String(txn.value)}`);
          await gate.pass();
          txn.stage('it');
          return log.push('made');
        });
      const both = [bank.run(), bank.run()];
      await gate.reached;
      gate.open();
      await Promise.all(both);
      expect(log).toEqual(['made', 'found it']);
    });

    it('outside any run cannot have one', async () => {
      await expect(transaction({ key: 'outside' }, async () => 1)).rejects.toThrow(NoCurrentRunError);
      expect(await transaction(async () => 1)).toBe(1);
    });
  });

  it('calls the hooks of its own', async () => {
    await play(async () => {
      await transaction({ onCommit: () => bank.log.push('committed') }, () => bank.book('a'));
      await transaction({ onRollback: () => bank.log.push('taken back') }, () => bank.book('b').then(failing));
    });
    expect(bank.log).toEqual(['book a', 'commit a', 'committed', 'book b', 'taken back', 'unbook b (booked b)']);
  });

  it('is taken back when its run is cancelled', async () => {
    const gate = new Gate();
    let signal: AbortSignal | undefined;
    bank.body = () =>
      transaction(async () => {
        signal = currentRun().signal;
        await bank.book('a');
        await gate.pass();
        await bank.book('b');
      });
    const running = bank.run().catch((error: Error) => error);
    await gate.reached;
    const [run] = await sql<{ id: string }>(database, `select id from nestor.flow_run where state_type = 'RUNNING'`);
    await app.get(RunControl).cancel(run!.id);
    await waitFor(() => signal?.aborted);
    gate.open();
    expect(await running).toMatchObject({ code: 'RUN_CANCELLED' });
    await waitFor(() => bank.log.includes('unbook a (booked a)'));
  });
});

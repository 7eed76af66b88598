import { Injectable, Scope } from '@nestjs/common';
import {
  Artifacts,
  branch,
  currentRun,
  Flow,
  mapTasks,
  pause,
  receiveInput,
  RunInputs,
  sendInput,
  sleep,
  submit,
  Task,
  transaction,
} from '@nestor/orchestrator';
import { createTestingOrchestrator, type TestDatabase, type TestingOrchestrator } from '@nestor/testing';
import { testDatabase } from '../../support/database.js';
import { waitFor } from '../../support/wait-for.js';
import { sql } from '../../support/sql.js';
import { illegalHistories } from '../../support/history.js';

class Receipt {
  constructor(readonly total: number) {}
}

@Injectable()
class Shop {
  /** What tasks have really done, in order. */
  readonly done: string[] = [];
  private served = 0;

  constructor(private readonly artifacts: Artifacts) {}

  @Task()
  async reserve(item: string): Promise<string> {
    this.done.push(`reserve ${item}`);
    return `reserved ${item}`;
  }

  @Task()
  async charge(item: string, at?: number): Promise<{ item: string; at: number | undefined }> {
    this.done.push(`charge ${item}`);
    return { item, at };
  }

  @Task()
  async fetch(item: string, ms: number): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return item;
  }

  @Task()
  async store(item: string): Promise<void> {
    this.done.push(`store ${item}`);
  }

  private failures = 0;
  @Task({ retries: 2 })
  async fickle(item: string): Promise<string> {
    if ((this.failures += 1) <= 2) throw new Error('not yet');
    return item;
  }

  @Task()
  async refuse(item: string): Promise<string> {
    throw new RangeError(`no ${item}`);
  }

  @Task()
  async fill(list: string[]): Promise<void> {
    list.push('filled');
  }

  @Task()
  async orderAll(items: readonly string[]): Promise<string[]> {
    return Promise.all(items.map((item) => this.reserve(item)));
  }

  // What is deterministic.

  @Flow({ name: 'honest' })
  async honest(items: string[]): Promise<unknown> {
    const reserved = await mapTasks(items, (item) => this.reserve(item), { concurrency: 2 });
    const refused = await this.refuse('refunds').catch((error: Error) => error.message);
    const { uuid, random, now } = currentRun();
    const ids = [uuid(), random(), now().getTime()];
    const charges = await Promise.all([
      this.charge(String(ids[0])),
      branch('gift', () => this.charge('gift', Number(ids[2]))),
    ]);
    const retried = await this.fickle(items[0]!);
    const shipped = await this.ship(items);
    const later = submit<Shop>(this).store('later');
    const nested = await this.orderAll(items);
    await later.result();
    return { reserved, refused, ids, charges, retried, shipped, nested, receipt: new Receipt(3) };
  }

  @Flow({ name: 'ship' })
  async ship(items: string[]): Promise<string[]> {
    const parcels: string[] = [];
    for (const item of items) parcels.push(await this.reserve(`parcel for ${item}`));
    return parcels;
  }

  @Task({ onCommit: 'confirm', onRollback: 'release' })
  async hold(item: string): Promise<string> {
    return item;
  }

  async confirm(): Promise<void> {
    this.done.push('confirm');
  }

  async release(): Promise<void> {
    this.done.push('release');
  }

  @Task({ persistResult: false })
  async secret(item: string): Promise<string> {
    return item;
  }

  @Flow({ name: 'committing' })
  async committing(): Promise<void> {
    await transaction(
      {
        key: 'sale',
        onCommit: async () => {
          this.done.push('sold');
        },
      },
      async (sale) => {
        await this.hold('a');
        await this.charge('a');
        sale.stage('a');
      },
    );
    await this.store('receipt');
  }

  @Flow({ name: 'taking back' })
  async takingBack(): Promise<string> {
    await transaction(async () => {
      await this.hold('a');
      await this.refuse('a');
    }).catch(() => undefined);
    await this.store('complaint');
    return 'taken back';
  }

  @Flow({ name: 'patient' })
  async patient(other: string): Promise<unknown> {
    await this.reserve('a');
    await sleep('3d');
    await this.charge('a');
    await pause();
    const word = await receiveInput(String, { timeout: '30d' });
    await sendInput(other, word);
    await this.store(word);
    return word;
  }

  @Flow({ name: 'listening' })
  async listening(): Promise<string> {
    return receiveInput(String, { timeout: '30d' });
  }

  @Flow({ name: 'secretive' })
  async secretive(): Promise<void> {
    await this.reserve('a');
    await this.store(await this.secret('b'));
    await this.charge('c');
  }

  @Flow({ name: 'publishing' })
  async publishing(): Promise<void> {
    await this.reserve('a');
    await this.artifacts.markdown({ markdown: '# Reserved', key: 'reserved' });
    await this.charge('a');
  }

  private attempts = 0;
  @Flow({ name: 'second try', retries: 1 })
  async secondTry(): Promise<string> {
    const reserved = await this.reserve('a');
    if (currentRun().attempt === 1) {
      this.attempts += 1;
      throw new Error('again');
    }
    await this.charge('a');
    return reserved;
  }

  @Flow({ name: 'failing' })
  async failing(): Promise<void> {
    await this.reserve('a');
    await this.refuse('a');
  }

  @Flow({ name: 'racing' })
  async racing(): Promise<string> {
    return Promise.race([this.fetch('slow', 200), this.fetch('fast', 1)]);
  }

  // What is not.

  @Flow({ name: 'by chance' })
  async byChance(): Promise<void> {
    await this.reserve('a');
    await this.charge('a', Math.random());
    await this.store('a');
  }

  @Flow({ name: 'by toss' })
  async byToss(): Promise<void> {
    await (Math.random() < 0.5 ? this.reserve('heads') : this.store('tails'));
  }

  @Flow({ name: 'by the clock' })
  async byTheClock(): Promise<void> {
    await this.charge('a', Date.now());
  }

  @Flow({ name: 'by arrival' })
  async byArrival(): Promise<void> {
    const arrived = new Set<string>();
    await Promise.all(
      (
        [
          ['slow', 40],
          ['fast', 1],
        ] as const
      ).map(async ([item, ms]) => arrived.add(await this.fetch(item, ms))),
    );
    for (const item of arrived) await this.store(item);
  }

  @Flow({ name: 'by memory' })
  async byMemory(): Promise<void> {
    await this.reserve(`guest ${(this.served += 1)}`);
  }

  @Flow({ name: 'by side effect' })
  async bySideEffect(): Promise<void> {
    const list: string[] = [];
    await this.fill(list);
    for (const item of list) await this.store(item);
  }

  @Flow({ name: 'only its result' })
  async onlyItsResult(): Promise<number> {
    await this.reserve('a');
    return Math.random();
  }

  @Flow({ name: 'stubborn', retries: 3 })
  async stubborn(): Promise<void> {
    await this.byChance();
  }
}

@Injectable({ scope: Scope.REQUEST })
class Counter {
  private count = 0;

  constructor(private readonly shop: Shop) {}

  @Flow({ name: 'counting' })
  async counting(): Promise<number> {
    this.count = 0;
    for (const item of ['a', 'b']) {
      await this.shop.reserve(item);
      this.count += 1;
    }
    return this.count;
  }
}

describe('a flow whose body begins again after each of its calls', () => {
  let database: TestDatabase;
  let nestor: TestingOrchestrator;
  let shop: Shop;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());
  beforeEach(async () => {
    nestor = await createTestingOrchestrator({
      providers: [Shop, Counter],
      database,
      alwaysReplay: true,
      autoAdvance: true,
      logger: false,
    });
    shop = nestor.get(Shop);
  });
  afterEach(async () => {
    await nestor.close();
    const takenBack = await sql<{ id: string }>(
      database,
      `select id from nestor.task_run where state_name = 'RolledBack'`,
    );
    expect(await illegalHistories(database, { forced: takenBack.map(({ id }) => id) })).toEqual([]);
  });

  describe('is as good as ever when it is deterministic', () => {
    it('with mapped tasks, branches, values of its own, subflows, retries, errors and tasks within tasks', async () => {
      const outcome = await shop.honest(['a', 'b', 'c']);
      expect(outcome).toMatchObject({
        reserved: ['reserved a', 'reserved b', 'reserved c'],
        refused: 'no refunds',
        retried: 'a',
        shipped: ['reserved parcel for a', 'reserved parcel for b', 'reserved parcel for c'],
        receipt: { total: 3 },
      });
      expect(shop.done.filter((call) => call === 'reserve parcel for a')).toHaveLength(1);
      expect(shop.done.filter((call) => call === 'store later')).toHaveLength(1);
    });

    it('with attempts of its own', async () => {
      expect(await shop.secondTry()).toBe('reserved a');
      expect(shop.done).toEqual(['reserve a', 'charge a']);
    });

    it('with transactions, whose hooks are called once', async () => {
      await shop.committing();
      expect(shop.done).toEqual(['charge a', 'confirm', 'sold', 'store receipt']);
      shop.done.length = 0;
      expect(await shop.takingBack()).toBe('taken back');
      expect(shop.done).toEqual(['release', 'store complaint']);
    });

    it('as far as the results of its calls are kept', async () => {
      await shop.secretive();
      expect(shop.done).toEqual(['reserve a', 'store b', 'charge c']);
    });

    it('with sleeps, pauses and inputs', async () => {
      const listening = await nestor.flows.start(Shop, 'listening');
      const run = await nestor.flows.start(Shop, 'patient', listening.id);
      await nestor.clock.advance('72h');
      await waitFor(async () => (await nestor.runs.get(run.id)).stateType === 'PAUSED');
      await nestor.control.resume(run.id);
      await nestor.get(RunInputs).send(run.id, 'shibboleth');
      expect(await run.result()).toBe('shibboleth');
      expect(await listening.result()).toBe('shibboleth');
      expect(shop.done).toEqual(['reserve a', 'charge a', 'store shibboleth']);
      const sent = await sql(database, 'select 1 from nestor.flow_run_input where flow_run_id = $1', [listening.id]);
      expect(sent).toHaveLength(1);
    });

    it('with what it publishes itself, which is there once', async () => {
      await shop.publishing();
      const run = await nestor.latestRun('publishing');
      expect(await sql(database, 'select data from nestor.artifact where flow_run_id = $1', [run.id])).toHaveLength(1);
    });

    it('when it fails by itself', async () => {
      await expect(shop.failing()).rejects.toThrow(RangeError);
    });

    it('when it does not wait for all it has called', async () => {
      expect(await shop.racing()).toBe('fast');
    });

    it('when its provider is made anew for each run', async () => {
      const run = await nestor.flows.start(Counter, 'counting');
      expect(await run.result()).toBe(2);
    });
  });

  describe('fails when it is not, and says which call differs', () => {
    const messageOf = async (call: () => Promise<unknown>): Promise<string> => {
      const error = await call().then(
        () => new Error('nothing differed'),
        (failure: unknown) => failure,
      );
      expect(error).toMatchObject({ code: 'REPLAY_DIVERGED' });
      return (error as Error).message;
    };

    it('with a random number', async () => {
      const message = await messageOf(() => shop.byChance());
      expect(message).toMatch(
        /^Interrupted after step 1 of 3 \(reserve-\w+\) and begun again from the records: "Shop\.charge" was called with \('a', 0\.\d+\), which is not recorded; recorded there is "Shop\.charge" with \('a', 0\.\d+\) \(charge-\w+\): the flow is not deterministic\./,
      );
      expect(shop.done).toEqual(['reserve a', 'charge a', 'store a']);
    });

    it('with a decision by chance', async () => {
      const message = await messageOf(() => shop.byToss());
      expect(message).toMatch(/"Shop\.(reserve|store)" was called with \('(heads|tails)'\), which is not recorded/);
    });

    it('with the time', async () => {
      expect(await messageOf(() => shop.byTheClock())).toMatch(/"Shop\.charge" was called with \('a', \d{13}\)/);
    });

    it('with an order that depends on which call was faster', async () => {
      const message = await messageOf(() => shop.byArrival());
      expect(message).toMatch(/^Interrupted after step 3 of 4 \(store-\w+\)/);
      expect(message).toContain(`"Shop.store" was called with ('slow') in place of "Shop.store" with ('fast') (store-`);
    });

    it('with what it remembers from before', async () => {
      const message = await messageOf(() => shop.byMemory());
      expect(message).toMatch(/"Shop\.reserve" was called with \('guest 2'\).*"Shop\.reserve" with \('guest 1'\)/);
    });

    it('with what a task did to its arguments', async () => {
      const message = await messageOf(() => shop.bySideEffect());
      expect(message).toMatch(
        /"Shop\.store" with \('filled'\) \(store-\w+\) was not called again; it returned undefined/,
      );
    });

    it('with its result alone', async () => {
      expect(await messageOf(() => shop.onlyItsResult())).toMatch(
        /flow "only its result" returned 0\.\d+, where it returned 0\.\d+ before/,
      );
    });

    it('once, however often it would be tried again', async () => {
      await messageOf(() => shop.byChance());
      const run = await nestor.latestRun('by chance');
      expect(run).toMatchObject({ stateType: 'FAILED', runCount: 1 });
    });

    it('in a subflow, which fails for it', async () => {
      await messageOf(() => shop.stubborn());
      expect(await nestor.latestRun('by chance')).toMatchObject({ stateType: 'FAILED' });
    });
  });
});

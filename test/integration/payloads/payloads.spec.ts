import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  aesPayloads,
  classCodec,
  DirectoryPayloadStore,
  Flow,
  FlowRuns,
  Flows,
  gzipPayloads,
  Task,
  type OrchestratorOptions,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { msOfId, newId } from '../../../libs/orchestrator/src/persistence/ids.js';
import { PayloadTable } from '../../../libs/orchestrator/src/runtime/payloads/payload-table.js';
import { startApp } from '../../support/app.js';
import { DatabaseProxy } from '../../support/database-proxy.js';
import { testDatabase } from '../../support/database.js';
import { taskRunsOf } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { compile } from '../embedded-postgres/support/sandbox.js';

const LARGE = 'large and secret '.repeat(10_000);

class Money {
  readonly #cents: number;
  constructor(cents: number) {
    this.#cents = cents;
  }
  get cents(): number {
    return this.#cents;
  }
}
class CardDeclined extends Error {
  override name = 'CardDeclined';
  constructor(readonly last4: string) {
    super(`Card ${last4} was declined`);
  }
}
const money = classCodec({ name: 'Money', type: Money, encode: ({ cents }) => cents, decode: (c) => new Money(c) });

@Injectable()
class Orders {
  seen: unknown[] = [];
  executed = 0;

  @Flow({ name: 'echo' })
  async echo({ value }: { value: unknown }): Promise<unknown> {
    return { fromTask: await this.pass(value) };
  }

  @Task()
  async pass(value: unknown): Promise<unknown> {
    this.executed += 1;
    return value;
  }

  @Flow({ name: 'charge' })
  async charge({ price }: { price: Money }): Promise<Money> {
    this.seen.push(await this.pass(price));
    await this.decline().catch((error: unknown) => this.seen.push(error));
    return price;
  }

  @Task()
  async decline(): Promise<never> {
    throw new CardDeclined('1111');
  }

  @Flow({ name: 'sum' })
  async sum(prices: Money[]): Promise<number> {
    let total = 0;
    for (const price of prices) total += ((await this.pass(price)) as Money).cents;
    return total;
  }

  @Flow({ name: 'fail' })
  async fail(): Promise<never> {
    throw Object.assign(new RangeError('too much'), { detail: LARGE });
  }
}

describe('payloads', () => {
  let database: TestDatabase;
  let home: string;
  const apps: INestApplicationContext[] = [];
  beforeAll(async () => {
    database = await testDatabase();
    home = mkdtempSync(join(tmpdir(), 'nestor-payloads-'));
  });
  afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));
  afterAll(async () => {
    rmSync(home, { recursive: true });
    await database.drop();
  });

  const start = async (
    options: Omit<OrchestratorOptions, 'database'> = {},
    url = database.url,
  ): Promise<INestApplicationContext> => {
    const app = await startApp({ url, providers: [Orders], ...options });
    apps.push(app);
    return app;
  };
  const runOf = async (app: INestApplicationContext, flowName = 'echo'): Promise<string> =>
    (await app.get(FlowRuns).list({ limit: 1, flowName }))[0]!.id;
  const rowOf = async (id: string): Promise<{ parameters: string; result: string }> => {
    const rows = await sql<{ parameters: string; result: string }>(
      database,
      'select parameters::text, result::text from nestor.flow_run where id = $1',
      [id],
    );
    return rows[0]!;
  };
  const payloadsOf = (runId: string): Promise<{ id: string; partition: string; size: number }[]> =>
    sql(
      database,
      `select id, tableoid::regclass::text as partition, octet_length(data) as size from nestor.payload
        where left(id::text, 13) = left($1, 13) order by id`,
      [runId],
    );

  describe('that are large', () => {
    it('are kept in a table, in the week of their run, and come back wherever they are asked for [C12]', async () => {
      const app = await start();
      const result = { fromTask: LARGE };
      expect(await app.get(Orders).echo({ value: LARGE })).toEqual(result);

      const id = await runOf(app);
      const row = await rowOf(id);
      for (const text of [row.parameters, row.result]) expect(text).toMatch(/^{"\$nestor":"payload".{0,200}$/);
      const [partition] = await sql<{ name: string }>(
        database,
        `select tableoid::regclass::text as name from nestor.flow_run where id = $1`,
        [id],
      );
      const kept = await payloadsOf(id);
      expect(kept.length).toBeGreaterThanOrEqual(2);
      for (const payload of kept) {
        expect(payload.partition).toBe(partition!.name.replace('flow_run', 'payload'));
        expect(msOfId(payload.id)).toBe(msOfId(id));
      }

      const elsewhere = await start();
      expect(await elsewhere.get(FlowRuns).result(id)).toEqual(result);
      expect(await elsewhere.get(FlowRuns).get(id)).toMatchObject({
        parameters: { value: LARGE },
        parametersJson: { value: LARGE },
        parametersError: null,
      });
    });

    it('are kept in a directory, and what went to the table before stays readable [C12] [C15]', async () => {
      const before = await start();
      await before.get(Orders).echo({ value: LARGE });
      const earlier = await runOf(before);

      const directory = join(home, 'payloads');
      const app = await start({ payloads: { store: new DirectoryPayloadStore({ directory }) } });
      await app.get(Orders).echo({ value: LARGE });
      const id = await runOf(app);
      expect(await payloadsOf(id)).toEqual([]);
      expect(readdirSync(directory, { recursive: true }).filter((name) => String(name).length > 36)).toHaveLength(3);
      expect(await app.get(FlowRuns).result(id)).toEqual({ fromTask: LARGE });
      expect(await app.get(FlowRuns).result(earlier)).toEqual({ fromTask: LARGE });
    });

    it('are errors as well, with all that hangs on them [C13]', async () => {
      const app = await start();
      const handle = await app.get(Flows).start(Orders, 'fail');
      const failure: unknown = await handle.result().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(RangeError);
      expect(failure).toMatchObject({ message: 'too much', detail: LARGE });
      expect((await rowOf(handle.id)).result).toMatch(/^{"\$nestor":"payload"/);
    });

    it('cost no commit of their own when they are not', async () => {
      const app = await start();
      const put = jest.spyOn(app.get(PayloadTable), 'put');
      await app.get(Orders).echo({ value: 'small' });
      expect(put).not.toHaveBeenCalled();
    });

    it('wait for a database that is away, and lose nothing', async () => {
      const proxy = await DatabaseProxy.start(database);
      const app = await start({}, proxy.url);
      const table = app.get(PayloadTable);
      const put = table.put.bind(table);
      let puts = 0;
      jest.spyOn(table, 'put').mockImplementation((...args) => {
        puts += 1;
        if (puts === 2) {
          proxy.cut(); // after the parameters, before the first result
          setTimeout(() => void proxy.restore(), 300);
        }
        return put(...args);
      });
      expect(await app.get(Orders).echo({ value: LARGE })).toEqual({ fromTask: LARGE });
      expect(app.get(Orders).executed).toBe(1);
      await apps.pop()!.close();
      proxy.close();
    });

    it('are read again when the database was away, and once otherwise', async () => {
      const app = await start();
      const gets = jest.spyOn(app.get(PayloadTable), 'get');
      gets.mockRejectedValueOnce(new Error('Connection terminated unexpectedly'));
      expect(await app.get(Orders).echo({ value: LARGE })).toEqual({ fromTask: LARGE });
      expect(gets).toHaveBeenCalledTimes(2); // the parameters
    });

    it('may be written twice', async () => {
      const app = await start();
      const table = app.get(PayloadTable);
      const id = newId();
      await table.put(id, Buffer.from('a'));
      await table.put(id, Buffer.from('a'));
      expect(Buffer.from((await table.get(id))!).toString()).toBe('a');
      await table.delete(id);
      expect(await table.get(id)).toBeNull();
    });

    it('go with their week', async () => {
      const app = await start();
      await app.get(Orders).echo({ value: LARGE });
      const id = await runOf(app);
      await sql(database, `drop table ${(await payloadsOf(id))[0]!.partition}`);
      await expect(app.get(FlowRuns).result(id)).rejects.toMatchObject({ code: 'PAYLOAD_NOT_FOUND' });
      expect(await app.get(FlowRuns).get(id)).toMatchObject({
        stateType: 'COMPLETED',
        parameters: undefined,
        parametersError: { code: 'PAYLOAD_NOT_FOUND' },
      });
      await app.get(Orders).echo({ value: LARGE }); // the default partition takes them meanwhile
    });
  });

  it('whose process dies before the row refers to them stay behind and harm nobody', async () => {
    const library = join(home, 'library');
    const support = 'test/integration/payloads/support';
    const repository = resolve(__dirname, '../../..');
    mkdirSync(library);
    for (const source of ['libs/core/src', 'libs/orchestrator/src', 'migrations', support]) {
      compile(join(repository, source), library);
    }
    symlinkSync(join(repository, 'node_modules'), join(library, 'node_modules'), 'junction');
    const directory = join(home, 'last-breath');
    const program = fork(join(library, support, 'dying-program.js'), [database.url, directory], { execArgv: [] });
    expect(await once(program, 'exit')).toEqual([null, 'SIGKILL']);

    const app = await start({ payloads: { store: new DirectoryPayloadStore({ directory }) } });
    const [day] = readdirSync(directory) as [string];
    expect(readdirSync(join(directory, day))).toHaveLength(1);
    const id = await runOf(app, 'report');
    const tasks = await taskRunsOf(database, id);
    expect(tasks.filter(({ result, state_type }) => result !== null || state_type === 'COMPLETED')).toEqual([]);
    expect(await app.get(Orders).echo({ value: LARGE })).toEqual({ fromTask: LARGE });
  });

  describe('that are encrypted', () => {
    const key = (fill: number): { id: string; key: Uint8Array } => ({ id: `k${fill}`, key: Buffer.alloc(32, fill) });
    const encrypted = { payloads: { codec: [gzipPayloads(), aesPayloads(key(1))] } };

    it('are nowhere in clear, small or large, and readable with the key [C13]', async () => {
      const app = await start(encrypted);
      for (const value of ['a small secret', LARGE]) {
        expect(await app.get(Orders).echo({ value })).toEqual({ fromTask: value });
        const id = await runOf(app);
        const [dump] = await sql<{ text: string }>(
          database,
          `select (select string_agg(to_json(r)::text, '') from nestor.flow_run r where id = $1)
               || (select string_agg(to_json(r)::text, '') from nestor.task_run r where flow_run_id = $1)
               || coalesce((select string_agg(encode(data, 'escape'), '') from nestor.payload
                             where left(id::text, 13) = left($1::text, 13)), '') as text`,
          [id],
        );
        expect(dump!.text).not.toContain('secret');
        expect(dump!.text).toContain('aes-256-gcm');
        expect(await app.get(FlowRuns).result(id)).toEqual({ fromTask: value });
        expect((await app.get(FlowRuns).get(id)).parameters).toEqual({ value });
      }
    });

    it.each<[string, Omit<OrchestratorOptions, 'database'>, object]>([
      ['another key', { payloads: { codec: [gzipPayloads(), aesPayloads(key(2))] } }, { code: 'PAYLOAD_CODEC_FAILED' }],
      ['no codec', {}, { code: 'PAYLOAD_CODEC_UNKNOWN', codec: 'aes-256-gcm' }],
    ])('cannot be read with %s, which hides nothing else of the run', async (_, options, failure) => {
      const app = await start(encrypted);
      await app.get(Orders).echo({ value: 'secret' });
      const id = await runOf(app);
      const other = await start(options);
      await expect(other.get(FlowRuns).result(id)).rejects.toMatchObject(failure);
      const seen = await other.get(FlowRuns).get(id);
      expect(seen).toMatchObject({ parameters: undefined, parametersJson: null, parametersError: failure });
      expect(seen.states).toHaveLength(3);
    });

    it('can be read after a rotation', async () => {
      const app = await start(encrypted);
      await app.get(Orders).echo({ value: 'secret' });
      const id = await runOf(app);
      const rotated = await start({ payloads: { codec: [gzipPayloads(), aesPayloads([key(2), key(1)])] } });
      expect(await rotated.get(FlowRuns).result(id)).toEqual({ fromTask: 'secret' });
    });
  });

  describe('of registered classes', () => {
    it('are instances for the flow, for its caller and in other applications [C13]', async () => {
      const options = { codecs: [money], errors: [CardDeclined] };
      const app = await start(options);
      const orders = app.get(Orders);
      const paid = await orders.charge({ price: new Money(500) });
      expect(paid).toBeInstanceOf(Money);
      expect(paid.cents).toBe(500);
      const [seen, error] = orders.seen;
      expect(seen).toBeInstanceOf(Money);
      expect(error).toBeInstanceOf(CardDeclined);
      expect(error).toMatchObject({ last4: '1111', message: 'Card 1111 was declined' });

      const id = await runOf(app, 'charge');
      expect(await (await start(options)).get(FlowRuns).result(id)).toBeInstanceOf(Money);
      const plain = (await start()).get(FlowRuns);
      expect(await plain.result(id)).toBe(500);
      expect(await plain.get(id)).toMatchObject({
        parameters: { price: 500 },
        parametersJson: { price: { $nestor: 'class', name: 'Money', value: 500 } },
      });
    });

    it('tell calls apart by what their codec writes', async () => {
      const app = await start({ codecs: [money] });
      const handle = await app.get(Flows).start(Orders, 'sum', [new Money(1), new Money(2), new Money(1)]);
      expect(await handle.result()).toBe(4);
      const keys = (await taskRunsOf(database, handle.id)).map(({ dynamic_key }) => dynamic_key.replace(/-\d+$/, ''));
      expect(keys[2]).toBe(keys[0]);
      expect(keys[1]).not.toBe(keys[0]);
    });

    it.each<[string, Omit<OrchestratorOptions, 'database'>, object]>([
      [
        'a codec that is there twice',
        { codecs: [money, money] },
        { code: 'CLASS_REGISTERED_TWICE', className: 'Money' },
      ],
      ['a class that is no error', { errors: [Money as never] }, { code: 'INVALID_CLASS_CODEC' }],
      ['a limit that is none', { payloads: { maxBytes: 0 } }, { code: 'INVALID_PAYLOAD_OPTION' }],
    ])('stop the start when they cannot be registered: %s', async (_, options, failure) => {
      await expect(start(options)).rejects.toMatchObject(failure);
    });
  });

  describe('that cannot be kept', () => {
    it('fail the run that returned them, with an error that says what, how large and what to do', async () => {
      const app = await start({ payloads: { maxBytes: 100_000 } });
      await expect(app.get(Orders).pass(LARGE)).rejects.toMatchObject({
        code: 'PAYLOAD_TOO_LARGE',
        message: expect.stringMatching(/^The result of task "Orders.pass" has 170002 bytes .*payloads\.maxBytes/),
      });
      const before = await runOf(app);
      await expect(app.get(Orders).echo({ value: LARGE })).rejects.toMatchObject({
        code: 'PAYLOAD_TOO_LARGE',
        subject: 'parameters of flow "echo"',
      });
      expect(await runOf(app)).toBe(before);
    });

    it('because they have no form: the error names the place inside the value', async () => {
      const app = await start();
      const orders = [{}, {}, {}, { socket: () => 1 }];
      const message =
        'The result of task "Orders.pass" cannot be recorded: $.orders[3].socket is a function (socket); ';
      await expect(app.get(Orders).pass({ orders })).rejects.toMatchObject({
        code: 'UNSERIALISABLE_VALUE',
        path: '$.orders[3].socket',
        message: expect.stringContaining(message),
      });
    });
  });
});

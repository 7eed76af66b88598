import { ValidationPipe, type INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { TestDatabase } from '@nestor/testing';
import * as classTransformer from 'class-transformer';
import * as classValidator from 'class-validator';
import type { DataSource } from 'typeorm';
import { testDatabase } from '../support/database.js';
import { illegalHistories } from '../support/history.js';
import { RecordingLogger } from '../support/recording-logger.js';
import { sql } from '../support/sql.js';
import { waitFor } from '../support/wait-for.js';
import { Bank } from './shop/bank.js';
import { ShopModule } from './shop/shop.module.js';
import { Stock } from './shop/stock.entity.js';

/** The application of the tutorial, over HTTP, on a real database. */
describe('the shop of the tutorial', () => {
  let database: TestDatabase;
  let app: INestApplication;
  let url: string;
  const logger = new RecordingLogger();

  const start = async (): Promise<void> => {
    app = await NestFactory.create(ShopModule.forDatabase(database.url), new FastifyAdapter(), {
      logger,
      abortOnError: false,
    });
    // Given, because Jest has no `import()` by which the pipe would load them.
    const packages = { validatorPackage: classValidator, transformerPackage: classTransformer };
    app.useGlobalPipes(new ValidationPipe({ transform: true, ...packages }));
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  };
  beforeAll(async () => {
    database = await testDatabase();
    await start();
    const stock = app.get<DataSource>(getDataSourceToken()).getRepository(Stock);
    await stock.save([
      { tenant: 'acme', sku: 'mug', available: 50, price: 900 },
      { tenant: 'acme', sku: 'anvil', available: 10, price: 60_000 },
      { tenant: 'acme', sku: 'fragile vase', available: 5, price: 3_000 },
      { tenant: 'globex', sku: 'mug', available: 50, price: 800 },
    ]);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  const ask = async (path: string, body?: object, tenant = 'acme'): Promise<{ status: number; body: any }> => {
    const response = await fetch(`${url}${path}`, {
      method: body ? 'POST' : 'GET',
      headers: { 'x-tenant': tenant, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  };
  const order = async (id: string, sku: string, quantity: number, tenant = 'acme'): Promise<string> => {
    const { body } = await ask('/orders', { id, tenant, sku, quantity });
    return body.run as string;
  };
  const inState = (run: string, state: string): Promise<{ state: string; receipt: unknown }> =>
    waitFor(async () => {
      const { body } = await ask(`/orders/${run}`);
      return body.state === state ? body : null;
    });
  const available = async (sku: string, tenant = 'acme'): Promise<number> => {
    const [row] = await sql<{ available: number }>(
      database,
      'select available from stock where tenant = $1 and sku = $2',
      [tenant, sku],
    );
    return row!.available;
  };

  it('takes an order, charges it through an outage of the bank, ships it, and publishes the receipt', async () => {
    app.get(Bank).outages = 2;
    const run = await order('o-1', 'mug', 3);
    const { receipt } = await inState(run, 'Completed');

    expect(receipt).toEqual({ order: 'o-1', total: 2_700, payment: 'payment-o-1', parcel: 'parcel-o-1' });
    expect(await available('mug')).toBe(47);
    expect(app.get(Bank).payments.get('o-1')).toBe(2_700);
    expect((await ask('/orders/receipts/o-1')).body.text).toContain('3 × mug, 27 €');
    const [row] = await sql<{ name: string }>(database, 'select name from nestor.flow_run where id = $1', [run]);
    expect(row!.name).toBe('order o-1 of acme');
    await waitFor(() => logger.lines.some(({ message }) => /place took \d+ ms/.test(message)));
  });

  it('asks a person about a large one; a restart in between changes nothing', async () => {
    const run = await order('o-2', 'anvil', 3);
    await inState(run, 'Suspended');
    expect(await available('anvil')).toBe(7);
    await app.close();
    await start();
    expect((await ask(`/orders/${run}/approval`, { approved: true })).status).toBe(201);

    expect((await inState(run, 'Completed')).receipt).toMatchObject({ total: 180_000 });
    expect(await available('anvil')).toBe(7);
  });

  it('puts back what was reserved when the person says no', async () => {
    const run = await order('o-3', 'anvil', 2);
    await inState(run, 'Suspended');
    expect(await available('anvil')).toBe(5);
    await ask(`/orders/${run}/approval`, { approved: false, note: 'Too heavy.' });

    await inState(run, 'Failed');
    expect(await available('anvil')).toBe(7);
    expect(app.get(Bank).payments.has('o-3')).toBe(false);
  });

  it('refuses an approval that is none, and goes on waiting', async () => {
    const run = await order('o-4', 'anvil', 2);
    await inState(run, 'Suspended');
    expect((await ask(`/orders/${run}/approval`, { approved: 'perhaps' })).status).toBeGreaterThanOrEqual(400);
    await inState(run, 'Suspended');
    await ask(`/orders/${run}/approval`, { approved: true });
    await inState(run, 'Completed');
  });

  it('gives the money back and puts the article back when it cannot be shipped', async () => {
    const run = await order('o-5', 'fragile vase', 2);
    await inState(run, 'Failed');
    expect(await available('fragile vase')).toBe(5);
    expect(app.get(Bank).payments.has('o-5')).toBe(false);
    const states = await sql<{ name: string; state_name: string }>(
      database,
      `select split_part(task_key, '.', 2) as name, state_name from nestor.task_run where flow_run_id = $1 order by id`,
      [run],
    );
    expect(states).toEqual([
      { name: 'reserve', state_name: 'RolledBack' },
      { name: 'charge', state_name: 'RolledBack' },
      { name: 'ship', state_name: 'Failed' },
      { name: 'charge', state_name: 'Completed' },
      { name: 'reserve', state_name: 'Completed' },
    ]);
  });

  it('sells no more than there is, to nobody it does not know, and to each tenant from its own shelf', async () => {
    await inState(await order('o-6', 'mug', 1_000), 'Failed');
    await inState(await order('o-7', 'mug', 1, 'nobody'), 'Failed');
    expect((await ask('/orders', { id: 'o-8', tenant: 'acme', sku: 'mug', quantity: 1 }, 'nobody')).status).toBe(403);
    await inState(await order('o-9', 'mug', 2, 'globex'), 'Completed');
    expect([await available('mug'), await available('mug', 'globex')]).toEqual([47, 48]);
  });

  it('refuses an order that cannot be meant before anything is begun', async () => {
    const { status, body } = await ask('/orders', { id: 'o-10', tenant: 'acme', sku: 'mug', quantity: 0 });
    expect(status).toBe(400);
    expect(JSON.stringify(body)).toContain('quantity');
  });
});

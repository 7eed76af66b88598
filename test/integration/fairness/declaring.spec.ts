import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { Deployments, Flow, InvalidDeploymentError, type DeploymentOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Type } from 'class-transformer';
import { IsString, ValidateNested } from 'class-validator';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { Tenants, type Work } from './support/tenants.js';

class Account {
  @IsString()
  id!: string;
}

class Export {
  @IsString()
  tenant!: string;

  @ValidateNested()
  @Type(() => Account)
  account!: Account;
}

@Injectable()
class Exports {
  @Flow({ name: 'export', deployments: [{ name: 'declared', fairness: { key: 'account.id', weights: { a: 2 } } }] })
  async write({ tenant }: Export): Promise<string> {
    return tenant;
  }
}

describe('fairness that a deployment declares', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let deployments: Deployments;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, app: 'declares', providers: [Tenants, Exports], worker: false });
    deployments = app.get(Deployments);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const keysOf = (ids: readonly string[]) =>
    sql<{ key: string | null; weight: number | null; in_line: boolean }>(
      database,
      `select fairness_key as key, fairness_weight as weight, fair_line_id is not null as in_line
         from nestor.flow_run where id = any($1) order by id`,
      [ids],
    );

  it('gives its runs the key that their parameters have, and the weight of that', async () => {
    await deployments.save(Tenants, 'serve', {
      name: 'weighted',
      parameters: { tenant: 'usual' },
      fairness: {
        key: 'tenant',
        weights: { big: 5 },
        defaultWeight: 2,
        concurrency: 3,
        rate: { limit: 10, period: '1m' },
      },
    });
    const { fairness } = await deployments.get('tenant-work/weighted');
    expect(fairness).toEqual({
      ...{ key: 'tenant', weights: { big: 5 }, defaultWeight: 2, concurrency: 3 },
      rate: { limit: 10, periodMs: 60_000 },
    });
    const run = (parameters: object, more: object = {}) =>
      deployments.run('tenant-work/weighted', { parameters: { number: 1, ...parameters }, ...more });
    const ids = [
      (await run({})).id,
      (await run({ tenant: 'big' })).id,
      (await run({ tenant: 'big' }, { fairnessKey: 'mine', fairnessWeight: 7 })).id,
      (await run({ tenant: '' })).id,
      (await run({ tenant: 'x'.repeat(500) })).id,
    ];
    const [usual, big, mine, none, long] = await keysOf(ids);
    expect(usual).toEqual({ key: 'usual', weight: 2, in_line: true });
    expect(big).toEqual({ key: 'big', weight: 5, in_line: true });
    expect(mine).toEqual({ key: 'mine', weight: 7, in_line: true });
    expect(none).toEqual({ key: null, weight: null, in_line: false });
    expect(long?.key).toMatch(/^x{150}…[0-9a-f]{32}$/);
  });

  it('holds for the runs of its schedules', async () => {
    const { id } = await deployments.save(Tenants, 'serve', {
      name: 'scheduled',
      fairness: { key: 'tenant' },
      parameters: { tenant: 'nightly', number: 1 },
      schedules: [
        { interval: '1h' },
        { interval: '1h', slug: 'one by one', overlap: 'buffer_all', parameters: { tenant: 'slow' } },
      ],
    });
    const keys = () =>
      sql<{ key: string; count: number }>(
        database,
        `select fairness_key as key, count(*)::integer as count from nestor.flow_run
          where deployment_id = $1 and fair_line_id is not null group by 1 order by 1`,
        [id],
      );
    await waitFor(async () => (await keys()).length === 2);
    expect(await keys()).toEqual([
      { key: 'nightly', count: expect.any(Number) as number },
      { key: 'slow', count: expect.any(Number) as number },
    ]);
  });

  it('is part of its versions, and can be taken back', async () => {
    const name = 'versioned';
    await deployments.save(Tenants, 'serve', { name, fairness: { key: 'tenant' } });
    await deployments.save(Tenants, 'serve', { name });
    expect((await deployments.get('tenant-work/versioned')).fairness).toBeNull();
    await deployments.rollBack('tenant-work/versioned', 1);
    expect((await deployments.get('tenant-work/versioned')).fairness).toMatchObject({
      key: 'tenant',
      defaultWeight: 1,
    });
  });

  const INVALID: readonly [string, DeploymentOptions['fairness'], RegExp][] = [
    ['a path that is none', { key: 'a..b' }, /"fairness.key" is "a..b" and must be the path of a parameter/],
    [
      'a weight of 0',
      { key: 'tenant', weights: { a: 0 } },
      /"fairness.weights.a" is 0 and must be a number from 0.001/,
    ],
    ['a weight that is no number', { key: 'tenant', defaultWeight: NaN }, /"fairness.defaultWeight" is NaN/],
    ['a key without characters', { key: 'tenant', weights: { '': 1 } }, /"fairness.weights" has a key/],
    ['no slot for a key', { key: 'tenant', concurrency: 0 }, /"fairness.concurrency" is 0/],
    ['half a slot', { key: 'tenant', concurrency: 1.5 }, /"fairness.concurrency" is 1.5/],
    ['a rate of nothing', { key: 'tenant', rate: { limit: 0, period: '1s' } }, /"fairness.rate.limit" is 0/],
    ['a period of nothing', { key: 'tenant', rate: { limit: 1, period: 0 } }, /"fairness.rate.period" is 0 ms/],
    ['a period that is none', { key: 'tenant', rate: { limit: 1, period: 'soon' as '1s' } }, /"fairness"/],
  ];
  it.each(INVALID)('is refused with %s', async (_, fairness, message) => {
    const save = deployments.save(Tenants, 'serve', { name: 'invalid', fairness } as DeploymentOptions<Work>);
    await expect(save).rejects.toThrow(InvalidDeploymentError);
    await expect(save).rejects.toThrow(message);
  });

  it('names a parameter that there is, also within another one', async () => {
    const id = (await deployments.run('export/declared', { parameters: { tenant: 't', account: { id: 'a' } } })).id;
    expect(await keysOf([id])).toEqual([{ key: 'a', weight: 2, in_line: true }]);
    const save = (key: string) =>
      deployments.save(Exports, 'write', { name: 'invalid', fairness: { key } } as DeploymentOptions<Export>);
    await expect(save('customer')).rejects.toThrow(
      /"fairness.key" is "customer", and there is no "customer" among tenant/,
    );
    await expect(save('account.name')).rejects.toThrow(/is "account.name", and there is no "name" among id/);
    await expect(save('account')).rejects.toThrow(/is "account", which is an object and no text or number/);
    await expect(save('account')).rejects.toThrow(InvalidDeploymentError);
  });

  it('is refused with a limit for keys where runs beyond the limit of the deployment do not wait', async () => {
    const concurrency = { limit: 1, onCollision: 'CANCEL_NEW' } as const;
    const fairness = { key: 'tenant', concurrency: 1 } as const;
    const save = deployments.save(Tenants, 'serve', { name: 'invalid', concurrency, fairness });
    await expect(save).rejects.toThrow(/"fairness.concurrency" lets runs wait/);
  });
});

import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { aesPayloads, Deployments, Flow, FlowNotRegisteredError, FlowRuns } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { IsInt, IsOptional, IsString } from 'class-validator';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf, waitingRunsOf } from './support/deployed.js';

class ReportParams {
  @IsString()
  readonly of!: string;

  @IsOptional()
  @IsInt()
  readonly pages?: number;
}

@Injectable()
class Reports {
  @Flow({ name: 'report' })
  async write(params: ReportParams): Promise<ReportParams> {
    return params;
  }

  @Flow({ name: 'sum' })
  async add(one: number, other: number): Promise<number> {
    return one + other;
  }

  async noFlow(): Promise<void> {}
}

const NIGHTLY = { cron: '0 2 * * *', slug: 'nightly' };

describe('deployments that are managed by calls', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let deployments: Deployments;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Reports], app: 'reports' });
    deployments = app.get(Deployments);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  let names = 0;
  let name: string;
  beforeEach(() => void (name = `d${(names += 1)}`));

  it('are made, then updated, and otherwise left as they are [D01]', async () => {
    const options = { name, tags: ['a'], schedules: [NIGHTLY] };
    const created = await deployments.save(Reports, 'write', options);
    expect(created).toMatchObject({ outcome: 'created' });
    expect(await deployments.save(Reports, 'write', options)).toEqual({ ...created, outcome: 'unchanged' });
    const updated = await deployments.save(Reports, 'write', { ...options, tags: ['b'], concurrency: 3 });
    expect(updated).toEqual({ id: created.id, outcome: 'updated', fields: ['tags', 'concurrency_limit'] });
    expect(await deployments.get(created.id)).toMatchObject({ name, tags: ['b'], concurrencyLimit: 3 });
  });

  it('keep a schedule by its slug, and know another one by what it says', async () => {
    const plain = { cron: '0 5 * * *' };
    const { id } = await deployments.save(Reports, 'write', { name, schedules: [NIGHTLY, plain] });
    const before = (await deployments.get(id)).schedules;
    const changed = { ...NIGHTLY, cron: '0 3 * * *' };
    await deployments.save(Reports, 'write', { name, schedules: [plain, changed, { cron: '0 6 * * *' }] });
    const after = (await deployments.get(id)).schedules;
    expect(after.map((one) => one.id).slice(0, 2)).toEqual(before.map((one) => one.id));
    expect(after[0]?.schedule).toMatchObject({ cron: '0 3 * * *' });
    expect(after).toHaveLength(3);
    await deployments.save(Reports, 'write', { name, schedules: [] });
    expect((await deployments.get(id)).schedules).toEqual([]);
    expect(await waitingRunsOf(database, id)).toEqual([]);
  });

  it('are found by id and by names, and listed in pages', async () => {
    const ids: string[] = [];
    for (const suffix of ['a', 'b', 'c']) {
      ids.push((await deployments.save(Reports, 'add', { name: `${name}-${suffix}` })).id);
    }
    expect((await deployments.find(`sum/${name}-b`))?.id).toBe(ids[1]);
    expect((await deployments.find(ids[2]!))?.name).toBe(`${name}-c`);
    expect(await deployments.find('sum/other')).toBeNull();
    expect(await deployments.find('other')).toBeNull();
    const first = await deployments.list({ flowName: 'sum', limit: 2 });
    const second = await deployments.list({ flowName: 'sum', limit: 2, after: first.at(-1)!.id });
    expect([...first, ...second].map(({ id }) => id)).toEqual(ids);
    expect(await deployments.list({ flowName: 'none' })).toEqual([]);
    await expect(deployments.get('sum/other')).rejects.toMatchObject({ code: 'DEPLOYMENT_NOT_FOUND' });
    await expect(deployments.list({ limit: 0 })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
  });

  it('are deleted with what they have made and nobody has taken; runs that have ended stay', async () => {
    const { id } = await deployments.save(Reports, 'write', { name, parameters: { of: 'x' }, schedules: [NIGHTLY] });
    const ended = await deployments.run(id);
    await ended.result({ timeout: '10s' });
    const waits = await deployments.run(id, { in: '1d' });
    await waitFor(async () => (await runsOf(database, id)).length === 5);
    expect(await deployments.delete(id)).toBe(true);
    expect((await runsOf(database, id)).map((run) => run.id)).toEqual([ended.id]);
    expect(await app.get(FlowRuns).find(waits.id)).toBeNull();
    expect(await deployments.delete(id)).toBe(false);
    for (const table of ['deployment_schedule', 'deployment_version']) {
      expect(await sql(database, `select from nestor.${table} where deployment_id = $1`, [id])).toEqual([]);
    }
  });

  it('are not made of what is no flow, or with what is no parameter of it [D03]', async () => {
    await expect(deployments.save(Reports, 'noFlow', { name })).rejects.toThrow(FlowNotRegisteredError);
    const refused = { code: 'DEPLOYMENT_PARAMETERS_REFUSED' };
    for (const parameters of [{ off: 'x' }, { pages: 'many' }] as object[]) {
      await expect(deployments.save(Reports, 'write', { name, parameters })).rejects.toMatchObject(refused);
      const schedules = [{ ...NIGHTLY, parameters }];
      await expect(deployments.save(Reports, 'write', { name, schedules })).rejects.toMatchObject(refused);
    }
    await expect(deployments.save(Reports, 'add', { name, parameters: { one: 1 } as never })).rejects.toMatchObject(
      refused,
    );
    const loose = { name, parameters: { off: 'x' } as never, enforceParameterSchema: false };
    expect(await deployments.save(Reports, 'write', loose)).toMatchObject({ outcome: 'created' });
  });

  it('say in their schema what is missing when a run is asked for, and not before [D03]', async () => {
    const { id } = await deployments.save(Reports, 'write', { name, parameters: { pages: 3 } });
    await expect(deployments.run(id)).rejects.toMatchObject({
      code: 'DEPLOYMENT_PARAMETERS_REFUSED',
      problems: [{ path: 'of', problem: 'must be given' }],
    });
    await expect(deployments.run(id, { parameters: { of: 7 } })).rejects.toMatchObject({ problems: [{ path: 'of' }] });
    const run = await deployments.run(id, { parameters: { of: 'x' } });
    expect(await run.result({ timeout: '10s' })).toEqual({ of: 'x', pages: 3 });
  });

  it('remember what they were configured with, and go back to it [D11]', async () => {
    const first = { name, version: 'v1', parameters: { of: 'one' }, schedules: [NIGHTLY] };
    const { id } = await deployments.save(Reports, 'write', first);
    await deployments.save(Reports, 'write', { name, version: 'v2', parameters: { of: 'two' } });
    expect(await deployments.versions(id)).toMatchObject([
      { number: 2, version: 'v2' },
      { number: 1, version: 'v1' },
    ]);
    await deployments.rollBack(id, 1);
    expect(await deployments.get(id)).toMatchObject({ version: 'v1', schedules: [{ slug: 'nightly' }] });
    expect(await (await deployments.run(id)).result({ timeout: '10s' })).toEqual({ of: 'one' });
    expect((await runsOf(database, id)).at(-1)).toMatchObject({ deployment_version: 'v1' });
    expect(await deployments.versions(id, { limit: 1 })).toMatchObject([{ number: 3, version: 'v1' }]);
    await expect(deployments.rollBack(id, 9)).rejects.toMatchObject({ code: 'DEPLOYMENT_NOT_FOUND' });
  });

  it('are not given a schedule to pause that they do not have', async () => {
    const { id } = await deployments.save(Reports, 'write', { name, schedules: [NIGHTLY] });
    await expect(deployments.pauseSchedule(id, 'daily')).rejects.toMatchObject({
      code: 'SCHEDULE_NOT_FOUND',
      message: expect.stringContaining('"nightly"') as string,
    });
  });

  it('are written once by many who say the same at the same time', async () => {
    const options = { name, schedules: [NIGHTLY, { cron: '0 5 * * *' }] };
    const saved = await Promise.all(Array.from({ length: 10 }, () => deployments.save(Reports, 'write', options)));
    expect(saved.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);
    expect(saved.filter(({ outcome }) => outcome === 'unchanged')).toHaveLength(9);
    expect((await deployments.get(saved[0]!.id)).schedules).toHaveLength(2);
  });

  it('keep their parameters encrypted where payloads are, and know them again', async () => {
    const codec = [aesPayloads({ id: 'k', key: Buffer.alloc(32, 7) })];
    const secret = await startApp({ url: database.url, providers: [Reports], payloads: { codec } });
    const own = secret.get(Deployments);
    const options = {
      name,
      parameters: { of: 'the secret' },
      schedules: [{ ...NIGHTLY, parameters: { of: 'another' } }],
    };
    const { id } = await own.save(Reports, 'write', options);
    const rows = await sql(
      database,
      `select d.parameters::text || s.parameters::text || v.configuration::text as all
         from nestor.deployment d join nestor.deployment_schedule s on s.deployment_id = d.id
         join nestor.deployment_version v on v.deployment_id = d.id where d.id = $1`,
      [id],
    );
    expect(JSON.stringify(rows)).not.toContain('secret');
    expect(JSON.stringify(rows)).not.toContain('another');
    expect(await own.save(Reports, 'write', options)).toMatchObject({ outcome: 'unchanged' });
    expect((await own.get(id)).parameters).toEqual({ of: 'the secret' });
    expect(await (await own.run(id)).result({ timeout: '10s' })).toEqual({ of: 'the secret' });
    await secret.close();
  });
});

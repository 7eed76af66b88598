import { inspect } from 'node:util';
import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  block,
  Block,
  Blocks,
  currentRun,
  Deployments,
  Flow,
  FlowRuns,
  json,
  RunControl,
  Secret,
  SecretField,
  Task,
  template,
  variable,
  Variables,
  type DeploymentOptions,
  type ReferableParameters,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf, waitingRunsOf } from './support/deployed.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const PASSWORD = 'hunter2-hunter2';

@Block({ slug: 'mail-server' })
class MailServer {
  host!: string;
  ports!: number[];
  @SecretField() password!: Secret;
}

interface Given {
  readonly region?: string;
  readonly limits?: number[];
  readonly title?: string;
  readonly server?: MailServer;
  readonly password?: Secret;
  readonly deep?: { readonly list: readonly unknown[] };
}

@Injectable()
class Reports {
  seen: Given[] = [];
  failures = 0;

  @Flow({ name: 'referring', retries: 1 })
  async write(given: Given): Promise<string> {
    this.seen.push(given);
    await this.note(given);
    if (this.failures-- > 0) throw new Error('once more');
    return inspect(currentRun().parameters);
  }

  @Task()
  async note(given: Given): Promise<Given> {
    return given;
  }

  @Flow({ name: 'typed' })
  async typed(region: string, pages: number): Promise<string> {
    return `${region} ${pages}`;
  }
}

describe('parameters of deployments that refer to something', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let deployments: Deployments;
  let variables: Variables;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Reports], app: 'referring', secretKey: KEY });
    deployments = app.get(Deployments);
    variables = app.get(Variables);
    await variables.set('region', 'eu');
    await variables.set('low', 1);
    await variables.set('shop', { country: 'NL', open: [9, 17] });
    const server = { host: 'mail', ports: [25, 587], password: new Secret(PASSWORD) };
    await app.get(Blocks).save('main', Object.assign(new MailServer(), server));
  });
  beforeEach(() => void (app.get(Reports).seen = []));
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  let names = 0;
  const save = async (
    parameters: ReferableParameters<Given>,
    more: Partial<DeploymentOptions<Given>> = {},
  ): Promise<string> => {
    const { id } = await deployments.save(Reports, 'write', { name: `d${(names += 1)}`, parameters, ...more });
    return id;
  };
  const storedAnywhere = async (text: string): Promise<number> => {
    const tables = await sql<{ name: string }>(
      database,
      `select table_name as name from information_schema.tables where table_schema = 'nestor' and table_type = 'BASE TABLE'`,
    );
    let found = 0;
    for (const { name } of tables) {
      const statement = `select count(*)::int as count from nestor.${name} t where t::text like $1`;
      const [row] = await sql<{ count: number }>(database, statement, [`%${text}%`]);
      found += row!.count;
    }
    return found;
  };

  it('are looked up for each run that is asked for, and kept with it: variables, templates, JSON [D05]', async () => {
    const id = await save({
      region: variable('region'),
      title: template(
        '{{ variables.region }}: {{ variables.shop.country }} {{variables.shop.open}} of {{ flow.name }}',
      ),
      limits: json(template('[{{ variables.low }}, 2]')),
      deep: { list: [variable('shop'), { x: json('null') }] },
    });
    const run = await deployments.run(id);
    await run.result();
    const expected = {
      region: 'eu',
      title: 'eu: NL [9,17] of referring',
      limits: [1, 2],
      deep: { list: [{ country: 'NL', open: [9, 17] }, { x: null }] },
    };
    expect((await app.get(FlowRuns).get(run.id)).parameters).toEqual(expected);
    expect(app.get(Reports).seen).toEqual([expected]);
    expect((await deployments.get(id)).parameters).toMatchObject({ region: variable('region') });
    expect(JSON.parse(JSON.stringify((await deployments.get(id)).parameters))).toMatchObject({
      region: { __prefect_kind: 'workspace_variable', variable_name: 'region' },
      limits: { __prefect_kind: 'json', value: { __prefect_kind: 'jinja', template: '[{{ variables.low }}, 2]' } },
    });
  });

  it('give way to what the run is given, which may refer to something as well [D05]', async () => {
    const id = await save({ region: variable('nowhere'), title: 'own' });
    const run = await deployments.run(id, {
      parameters: { region: 'us', title: template('in {{ variables.region }}') },
    });
    await run.result();
    expect((await app.get(FlowRuns).get(run.id)).parameters).toEqual({ region: 'us', title: 'in eu' });
  });

  it('are loaded when the run begins where they are blocks; secrets are written nowhere [D05]', async () => {
    const id = await save({
      server: block(MailServer, 'main'),
      password: block(MailServer, 'main', 'password'),
      region: block<string>('mail-server/main', 'host'),
      deep: { list: [block<number>('mail-server/main', 'ports.1')] },
    });
    app.get(Reports).failures = 1;
    const run = await deployments.run<string>(id);
    expect(await run.result()).not.toContain(PASSWORD);
    const [first, second] = app.get(Reports).seen;
    expect(first).toEqual(second);
    expect(first!.server).toBeInstanceOf(MailServer);
    expect(first!.server!.password.reveal()).toBe(PASSWORD);
    expect(first!.password!.reveal()).toBe(PASSWORD);
    expect(first).toMatchObject({ region: 'mail', deep: { list: [587] } });
    expect((await app.get(FlowRuns).get(run.id)).parameters).toMatchObject({ server: block(MailServer, 'main') });
    const fork = await app.get(RunControl).fork(run.id);
    await app.get(FlowRuns).result(fork);
    expect(app.get(Reports).seen).toEqual([first, first, first]);
    expect(await storedAnywhere(PASSWORD)).toBe(0);
    expect(await storedAnywhere('mail-server/main')).toBeGreaterThan(0); // the search does find what is there
  });

  it('are looked up when the run begins where a schedule has made it, and are the same when it begins again [D05]', async () => {
    await variables.set('season', 'spring');
    const id = await save(
      { region: variable('season') },
      {
        schedules: [
          { cron: '0 0 1 1 *', parameters: { title: template('{{ deployment.version }} {{ variables.season }}') } },
        ],
        version: 'v7',
      },
    );
    const [waiting] = await waitFor(async () => {
      const runs = await waitingRunsOf(database, id);
      return runs.length > 0 ? runs : null;
    });
    expect((await app.get(FlowRuns).get(waiting!.id)).parameters).toEqual({
      region: variable('season'),
      title: template('{{ deployment.version }} {{ variables.season }}'),
    });
    await variables.set('season', 'summer', { overwrite: true });
    const reports = app.get(Reports);
    reports.failures = 1;
    const [filled] = await deployments.backfill(id, { from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z' });
    await waitFor(() => reports.seen.length === 1);
    await variables.set('season', 'autumn', { overwrite: true });
    await waitFor(() => reports.seen.length === 2);
    const expected = { region: 'summer', title: 'v7 summer' };
    expect(reports.seen).toEqual([expected, expected]);
    expect((await app.get(FlowRuns).get(filled!.flowRunId!)).parameters).toEqual(expected);
  });

  it('keep a run from being made, by a name, where they lead nowhere [D05]', async () => {
    const id = await save({ region: variable('missing') });
    await expect(deployments.run(id)).rejects.toMatchObject({ code: 'VARIABLE_NOT_FOUND', variable: 'missing' });
    const part = await save({ title: template('{{ variables.shop.city }}') });
    await expect(deployments.run(part)).rejects.toMatchObject({ code: 'REFERENCE_UNRESOLVED' });
    const broken = await save({ limits: json(template('[{{ variables.region }}]')) });
    await expect(deployments.run(broken)).rejects.toMatchObject({ code: 'REFERENCE_UNRESOLVED' });
    expect([
      ...(await runsOf(database, id)),
      ...(await runsOf(database, part)),
      ...(await runsOf(database, broken)),
    ]).toEqual([]);
  });

  it.each<[string, () => ReferableParameters<Given>, string]>([
    ['a variable', () => ({ region: variable('missing') }), 'VARIABLE_NOT_FOUND'],
    ['a block', () => ({ server: block(MailServer, 'other') }), 'BLOCK_NOT_FOUND'],
    ['a field of a block', () => ({ region: block<string>('mail-server/main', 'hosts') }), 'REFERENCE_UNRESOLVED'],
  ])('end a run of a schedule as failed where they lead nowhere: %s [D05]', async (_, parameters, code) => {
    const id = await save(parameters(), { schedules: [{ cron: '0 0 1 1 *' }] });
    const [filled] = await deployments.backfill(id, { from: '2020-01-01T00:00:00Z', to: '2020-01-02T00:00:00Z' });
    const ended = await waitFor(async () => {
      const run = await app.get(FlowRuns).get(filled!.flowRunId!);
      return run.stateType === 'FAILED' ? run : null;
    });
    expect(ended.runCount).toBeLessThanOrEqual(1);
    await expect(app.get(FlowRuns).result(ended.id)).rejects.toMatchObject({ code });
    expect(app.get(Reports).seen).toEqual([]);
  });

  it('are checked by the schema of the flow once they are known, and not before [D05]', async () => {
    const { id } = await deployments.save(Reports, 'typed', {
      name: 'checked',
      parameters: { 0: variable('region'), 1: variable<number>('region') },
    });
    await expect(deployments.run(id)).rejects.toMatchObject({
      code: 'DEPLOYMENT_PARAMETERS_REFUSED',
      problems: [{ path: '1' }],
    });
    const run = await deployments.run(id, { parameters: { 1: variable<number>('low') } });
    expect(await run.result()).toBe('eu 1');
    await expect(
      deployments.save(Reports, 'typed', { name: 'wrong', parameters: { 0: variable('region'), 1: 'x' as never } }),
    ).rejects.toMatchObject({ code: 'DEPLOYMENT_PARAMETERS_REFUSED', problems: [{ path: '1' }] });
  });

  it('are not taken from what is only data: a variable cannot lead to a secret', async () => {
    await variables.set('sly', { $ref: { block: 'mail-server/main' }, __prefect_kind: 'workspace_variable' });
    const id = await save({ deep: { list: [variable('sly')] } });
    await (await deployments.run(id)).result();
    expect(app.get(Reports).seen).toEqual([
      { deep: { list: [{ $ref: { block: 'mail-server/main' }, __prefect_kind: 'workspace_variable' }] } },
    ]);
  });
});

import { Injectable, type INestApplicationContext } from '@nestjs/common';
import {
  currentRun,
  Deployments,
  Flow,
  FlowRuns,
  RunControl,
  Task,
  WorkPools,
  type DeploymentRunOptions,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { DataSource } from 'typeorm';
import { RunClaimer } from '../../../libs/orchestrator/src/runtime/recovery/run-claimer.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { illegalHistories } from '../../support/history.js';
import { makeDue, runsOf } from './support/deployed.js';

@Injectable()
class Reports {
  @Flow({ name: 'report', tags: ['report'], runName: 'report of {of}', retries: 2 })
  async write({ of, pages }: { of?: string; pages?: number }): Promise<string> {
    return `${pages} pages of ${of} by ${currentRun().flowRunName}`;
  }
}

/** Knows the deployments by their names alone. */
@Injectable()
class Caller {
  attempts = 0;

  constructor(private readonly deployments: Deployments) {}

  @Flow({ retries: 1 })
  async twice(): Promise<string[]> {
    const first = await this.deployments.run('report/plain', { parameters: { of: 'one' } });
    const second = await this.deployments.run('report/plain', { parameters: { of: 'one' } });
    const inTask = await this.ask();
    this.attempts += 1;
    if (this.attempts === 1) throw new Error('once more');
    return [first.id, second.id, inTask];
  }

  @Task()
  async ask(): Promise<string> {
    return (await this.deployments.run('report/plain', { parameters: { of: 'three' } })).id;
  }
}

describe('runs of deployments that somebody asks for', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let deployments: Deployments;
  let id: string;
  beforeAll(async () => {
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Reports, Caller], app: 'reports' });
    deployments = app.get(Deployments);
    await deployments.save(Reports, 'write', { name: 'plain' });
    ({ id } = await deployments.save(Reports, 'write', {
      name: 'full',
      version: '3',
      tags: ['deployed'],
      labels: { team: 'data', size: 3 },
      parameters: { of: 'sales', pages: 1 },
      jobVariables: { memory: 1, cpu: 1 },
    }));
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database)).toEqual([]);
    await database.drop();
  });

  it('are waited for, or not [F24]', async () => {
    const run = await deployments.run<string>('report/full', { parameters: { pages: 7 } });
    expect(await run.result({ timeout: '10s' })).toBe('7 pages of sales by report of sales');
    const later = await deployments.run(id, { in: '1h' });
    expect(await app.get(FlowRuns).get(later.id)).toMatchObject({ stateType: 'SCHEDULED' });
    await expect(later.result({ timeout: 1 })).rejects.toMatchObject({ code: 'WAIT_TIMED_OUT' });
  });

  it('are one with the same key [F24]', async () => {
    const all = await Promise.all(
      Array.from({ length: 10 }, () => deployments.run(id, { idempotencyKey: 'march', parameters: { pages: 1 } })),
    );
    expect(new Set(all.map((run) => run.id)).size).toBe(1);
    await all[0]!.result({ timeout: '10s' });
    expect((await deployments.run(id, { idempotencyKey: 'march' })).id).toBe(all[0]!.id);
  });

  describe('are shared', () => {
    const ask = async (options: DeploymentRunOptions): Promise<string> => (await deployments.run(id, options)).id;

    it('by calls with the key of a singleton, of whichever deployment of the flow, as long as one waits or goes on', async () => {
      await app.get(WorkPools).createIfAbsent('idle'); // served by nobody
      const options = { singleton: 'report', workPool: 'idle' };
      const first = await ask(options);
      const others = await Promise.all(Array.from({ length: 5 }, () => ask(options)));
      const { id: plain } = await deployments.run('report/plain', { ...options, parameters: { of: 'stock' } });
      expect(new Set([...others, plain])).toEqual(new Set([first]));
      await app.get(RunControl).cancel(first);
      expect(await ask(options)).not.toBe(first);
    });

    it('by calls that follow each other, with the parameters of the latest upon those of the deployment', async () => {
      const debounce = { key: 'report', for: '1h' } as const;
      const first = await deployments.run<string>(id, { debounce, parameters: { pages: 1 } });
      expect(await ask({ debounce, parameters: { pages: 2 } })).toBe(first.id);
      await makeDue(database, [first.id]);
      app.get(RunClaimer).wake();
      expect(await first.result({ timeout: '10s' })).toMatch(/^2 pages of sales by /);
      const { states, tags } = await app.get(FlowRuns).get(first.id);
      expect(states.filter(({ type }) => type === 'SCHEDULED')).toHaveLength(2);
      expect(tags).toContain('deployed');
    });

    it('by calls within a while', async () => {
      const throttle = { key: 'report', per: '1h' } as const;
      const first = await deployments.run(id, { throttle, parameters: { pages: 1 } });
      await first.result({ timeout: '10s' });
      expect(await ask({ throttle })).toBe(first.id);
    });

    it('one at a time', async () => {
      const all = deployments.runAll(id, [{ singleton: 'one' }, { singleton: 'two' }]);
      await expect(all).rejects.toMatchObject({ code: 'INVALID_RUN_OPTION' });
    });
  });

  describe('within a transaction of the application', () => {
    let host: DataSource;
    beforeAll(async () => void (host = await new DataSource({ type: 'postgres', url: database.url }).initialize()));
    afterAll(() => host.destroy());

    it('are there after the commit, and not before', async () => {
      const run = await host.transaction(async (transaction) => {
        const made = await deployments.run<string>(id, { transaction, parameters: { pages: 9 } });
        expect(await app.get(FlowRuns).find(made.id)).toBeNull();
        return made;
      });
      expect(await run.result({ timeout: '10s' })).toMatch(/^9 pages of sales by /);
    });

    it('are gone with a rollback', async () => {
      let ids: string[] = [];
      const rolledBack = host.transaction(async (transaction) => {
        const made = await deployments.runAll(id, [{ transaction }, { transaction }]);
        ids = made.map((run) => run.id);
        throw new Error('changed my mind');
      });
      await expect(rolledBack).rejects.toThrow('changed my mind');
      expect(ids).toHaveLength(2);
      for (const one of ids) expect(await app.get(FlowRuns).find(one)).toBeNull();
    });

    it('are all in the same', async () => {
      await host.transaction(async (transaction) => {
        const all = deployments.runAll(id, [{ transaction }, {}]);
        await expect(all).rejects.toMatchObject({ code: 'INVALID_RUN_OPTION', option: 'transaction' });
      });
    });
  });

  it('carry the tags, labels and variables of the deployment and their own, and who made them [D13]', async () => {
    const { id: runId } = await deployments.run(id, {
      name: 'by hand',
      tags: ['own'],
      jobVariables: { cpu: 4 },
      in: '1h',
    });
    const row = (await runsOf(database, id)).find((run) => run.id === runId);
    expect(row).toMatchObject({
      name: 'by hand',
      tags: ['report', 'deployed', 'own'],
      labels: { team: 'data', size: 3, 'prefect.deployment.id': id },
      job_variables: { memory: 1, cpu: 4 },
      created_by: { id, type: 'DEPLOYMENT', display_value: 'full' },
      deployment_version: '3',
      auto_scheduled: false,
      schedule_id: null,
    });
  });

  it('are made by the hundred, and no more at once [D12]', async () => {
    const calls = Array.from({ length: 100 }, (_, pages) => ({ parameters: { pages }, in: '1h' as const }));
    const runs = await deployments.runAll(id, calls);
    expect(new Set(runs.map((run) => run.id)).size).toBe(100);
    await expect(deployments.runAll(id, [...calls, {}])).rejects.toMatchObject({ code: 'TOO_MANY_RUNS', limit: 100 });
    expect(await deployments.runAll(id, [])).toEqual([]);
  });

  it('are executed in the application of the deployment, as its code says, wherever they were asked for', async () => {
    const elsewhere = await startApp({ url: database.url, providers: [], app: 'front' });
    const run = await elsewhere.get(Deployments).run(id, { parameters: { pages: 2 } });
    expect(await run.result({ timeout: '10s' })).toMatch(/^2 pages of sales by /);
    const row = (await runsOf(database, id)).find((one) => one.id === run.id);
    expect(row).toMatchObject({ build_id: null });
    expect(row?.flow_version).toHaveLength(12);
    await elsewhere.close();
  });

  it('are asked for once by a run that is tried again', async () => {
    const caller = app.get(Caller);
    const ids = await caller.twice();
    expect(new Set(ids).size).toBe(3);
    const plain = await deployments.get('report/plain');
    expect((await runsOf(database, plain.id)).map((run) => run.id).sort()).toEqual([...ids].sort());
  });

  it('are made while the deployment is paused', async () => {
    await deployments.save(Reports, 'write', { name: 'paused', paused: true });
    const run = await deployments.run('report/paused', { parameters: { of: 'x' } });
    await run.result({ timeout: '10s' });
  });

  it.each<[string, object, string]>([
    ['a name that cannot be kept', { name: '' }, 'INVALID_RUN_OPTION'],
    ['two times', { in: '1h', at: new Date() }, 'INVALID_RUN_OPTION'],
    ['a delay that is none', { in: 'soon' }, 'INVALID_DURATION'],
    ['parameters that cannot be kept', { parameters: { of: () => 1 } }, 'UNSERIALISABLE_VALUE'],
  ])('are refused with %s', async (_, options, code) => {
    await expect(deployments.run(id, options)).rejects.toMatchObject({ code });
  });

  it('are none of a deployment that is not there', async () => {
    await expect(deployments.run('report/none')).rejects.toMatchObject({ code: 'DEPLOYMENT_NOT_FOUND' });
  });
});

import { Injectable, type INestApplicationContext, type Type } from '@nestjs/common';
import { Deployments, Flow, Schedule, type DeploymentOptions, type DeploymentView } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Foreman } from '../../../libs/orchestrator/src/runtime/maintenance/foreman.service.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

/** A class whose flow declares these deployments, as another release of it would. */
function reports(deployments: readonly DeploymentOptions[], flow = 'report'): Type {
  @Injectable()
  class Reports {
    @Flow({ name: flow, tags: ['report'], deployments })
    async write(parameters: { of?: string; pages?: number }): Promise<unknown> {
      return parameters;
    }
  }
  return Reports;
}

/** What of a deployment does not change because somebody looks for its runs. */
const configured = ({ status: _, lastPolled: __, ...rest }: DeploymentView): unknown => rest;

const NIGHTLY = { name: 'nightly', parameters: { of: 'sales' }, schedules: [{ cron: '0 2 * * *', slug: 'two' }] };

describe('deployments that are declared in the code', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());

  let apps = 0;
  let app: string;
  beforeEach(() => void (app = `declaring-${(apps += 1)}`));

  const during = async <T>(provider: Type, look: (app: INestApplicationContext) => Promise<T>): Promise<T> => {
    const context = await startApp({ url: database.url, providers: [provider], app });
    try {
      return await look(context);
    } finally {
      await context.close();
    }
  };
  const eventsOf = (id: string) =>
    sql<{ event: string; payload: { changed_fields?: string[]; reason?: string } }>(
      database,
      `select event, payload from nestor.event where resource_id = $1 and event not like '%ready' order by occurred, id`,
      [`prefect.deployment.${id}`],
    );
  const futureRuns = (id: string) =>
    sql<{ id: string; at: string; auto_scheduled: boolean; tags: string[]; parameters: unknown }>(
      database,
      `select id, next_scheduled_start_time as at, auto_scheduled, tags, parameters from nestor.flow_run
        where deployment_id = $1 and state_type = 'SCHEDULED' order by next_scheduled_start_time`,
      [id],
    );

  it('are there when the application has started, and found there by the next start [D01]', async () => {
    const flow = `${app}-flow`;
    const first = await during(reports([NIGHTLY], flow), (context) => context.get(Deployments).get(`${flow}/nightly`));
    expect(first).toMatchObject({
      flowName: flow,
      name: 'nightly',
      managed: true,
      paused: false,
      parameters: { of: 'sales' },
      schedules: [{ slug: 'two', active: true, schedule: { kind: 'cron', cron: '0 2 * * *', timezone: 'UTC' } }],
    });
    const second = await during(reports([NIGHTLY], flow), (context) => context.get(Deployments).get(`${flow}/nightly`));
    expect(configured(second)).toEqual(configured(first));
    expect((await eventsOf(first.id)).map(({ event }) => event)).toEqual(['prefect.deployment.created']);
  });

  it('become what the code says, and an event says which fields that changed [D01]', async () => {
    const flow = `${app}-flow`;
    const { id } = await during(reports([NIGHTLY], flow), (context) => context.get(Deployments).get(`${flow}/nightly`));
    const changed = { ...NIGHTLY, tags: ['night'], parameters: { of: 'stock' }, description: 'Every night.' };
    const after = await during(reports([changed], flow), (context) => context.get(Deployments).get(id));
    expect(after).toMatchObject({ id, tags: ['night'], parameters: { of: 'stock' }, description: 'Every night.' });
    const events = await eventsOf(id);
    expect(events.map(({ event }) => event)).toEqual(['prefect.deployment.created', 'prefect.deployment.updated']);
    expect(new Set(events[1]?.payload.changed_fields)).toEqual(new Set(['tags', 'parameters', 'description']));
  });

  it('are made once by processes that start at the same moment [D01]', async () => {
    const flow = `${app}-flow`;
    const many = Array.from({ length: 5 }, (_, index) => ({ ...NIGHTLY, name: `d${index}` }));
    const started = await Promise.all(
      Array.from({ length: 3 }, () => startApp({ url: database.url, providers: [reports(many, flow)], app })),
    );
    const listed = await Promise.all(started.map((one) => one.get(Deployments).list({ flowName: flow })));
    expect(listed[0]?.map(({ name }) => name)).toEqual(['d0', 'd1', 'd2', 'd3', 'd4']);
    expect(listed[1]?.map(configured)).toEqual(listed[0]?.map(configured));
    expect(listed[0]?.every(({ schedules }) => schedules.length === 1)).toBe(true);
    await Promise.all(started.map((one) => one.close()));
  });

  it('are paused once the code has them no more, and go on when it has them again', async () => {
    const flow = `${app}-flow`;
    const { id } = await during(reports([NIGHTLY, { name: 'other' }], flow), async (context) => {
      const found = await context.get(Deployments).get(`${flow}/nightly`);
      await waitFor(async () => (await futureRuns(found.id)).length > 0);
      return found;
    });
    const removed = await during(reports([{ name: 'other' }], flow), (context) => context.get(Deployments).get(id));
    expect(removed).toMatchObject({ paused: true, pausedReason: 'removed' });
    expect(await futureRuns(id)).toEqual([]);
    expect((await eventsOf(id)).at(-1)).toMatchObject({
      event: 'prefect.deployment.updated',
      payload: { changed_fields: ['paused'], reason: 'removed' },
    });
    const back = await during(reports([NIGHTLY], flow), async (context) => {
      await waitFor(async () => (await futureRuns(id)).length > 0);
      return context.get(Deployments).get(id);
    });
    expect(back).toMatchObject({ id, paused: false, pausedReason: null });
  });

  describe('in a rolling deploy', () => {
    let started: INestApplicationContext[];
    beforeEach(() => void (started = []));
    afterEach(() => Promise.all(started.map((one) => one.close())));

    const start = async (buildId: string, names: readonly string[]): Promise<INestApplicationContext> => {
      const declared = names.map((name) => ({ ...NIGHTLY, name }));
      const provider = reports(declared, `${app}-flow`);
      const one = await startApp({ url: database.url, providers: [provider], app, buildId });
      started.push(one);
      return one;
    };
    const stop = async (one: INestApplicationContext): Promise<void> => {
      started.splice(started.indexOf(one), 1);
      await one.close();
    };
    const pausedReason = async (one: INestApplicationContext, name: string): Promise<string | null> =>
      (await one.get(Deployments).get(`${app}-flow/${name}`)).pausedReason;

    it('go on when a process of the older build starts again, which does not have them, as long as the newer one is there', async () => {
      await start('v1', ['old']);
      const newer = await start('v2', ['old', 'new']);
      const again = await start('v1', ['old']);
      expect(await pausedReason(again, 'new')).toBeNull();
      again.get(Foreman).wake();
      await stop(newer); // it is rolled back
      again.get(Foreman).wake();
      await waitFor(async () => (await pausedReason(again, 'new')) === 'removed');
      expect(await pausedReason(again, 'old')).toBeNull();
    });

    it('are paused with the last process of the older build, where the newer one has them no more', async () => {
      const older = await start('v1', ['old', 'kept']);
      const newer = await start('v2', ['kept']);
      expect(await pausedReason(newer, 'old')).toBeNull();
      await stop(older);
      newer.get(Foreman).wake();
      await waitFor(async () => (await pausedReason(newer, 'old')) === 'removed');
      expect(await pausedReason(newer, 'kept')).toBeNull();
    });
  });

  it('stay paused when somebody has paused them, and are as the code says where it says so', async () => {
    const flow = `${app}-flow`;
    await during(reports([NIGHTLY], flow), (context) => context.get(Deployments).pause(`${flow}/nightly`));
    const name = `${flow}/nightly`;
    const still = await during(reports([NIGHTLY], flow), (context) => context.get(Deployments).get(name));
    expect(still).toMatchObject({ paused: true, pausedReason: 'asked' });
    const on = await during(reports([{ ...NIGHTLY, paused: false }], flow), (c) => c.get(Deployments).get(name));
    expect(on.paused).toBe(false);
  });

  it('stay paused when somebody has paused them, also when the code does not have them for a while', async () => {
    const flow = `${app}-flow`;
    const pause = async (context: INestApplicationContext): Promise<DeploymentView> => {
      await context.get(Deployments).pause(`${flow}/nightly`);
      return context.get(Deployments).get(`${flow}/nightly`);
    };
    const { id } = await during(reports([NIGHTLY, { name: 'other' }], flow), pause);
    const get = (context: INestApplicationContext): Promise<DeploymentView> => context.get(Deployments).get(id);
    for (const declared of [[{ name: 'other' }], [NIGHTLY], [], [NIGHTLY, { name: 'other' }]]) {
      const found = await during(reports(declared, flow), get);
      expect(found).toMatchObject({ paused: true, pausedReason: 'asked' });
    }
    expect((await eventsOf(id)).map(({ event, payload }) => [event, payload.reason])).toEqual([
      ['prefect.deployment.created', undefined],
      ['prefect.deployment.updated', 'asked'],
    ]);
    // That of which somebody says so while the code does not have it is no different.
    const none = reports([], flow);
    await during(none, (context) => context.get(Deployments).resume(id));
    expect(await during(none, get)).toMatchObject({ paused: true, pausedReason: 'removed' });
    await during(none, pause);
    expect(await during(reports([NIGHTLY], flow), get)).toMatchObject({ paused: true, pausedReason: 'asked' });
  });

  it('leave those alone that were made by a call', async () => {
    const flow = `${app}-flow`;
    const provider = reports([], flow);
    await during(provider, async (context) => {
      await context.get(Deployments).save(provider as never, 'write' as never, { name: 'called' });
    });
    const kept = await during(provider, (context) => context.get(Deployments).get(`${flow}/called`));
    expect(kept).toMatchObject({ managed: false, paused: false });
  });

  it('may be a schedule alone, of which a method may have several', async () => {
    const flow = `${app}-flow`;
    @Injectable()
    class Scheduled {
      @Schedule('0 9 * * 1-5', { timezone: 'Europe/Amsterdam', parameters: { of: 'sales' } })
      @Flow({ name: flow })
      @Schedule({ interval: '6h', slug: 'often' })
      async write(parameters: { of?: string }): Promise<unknown> {
        return parameters;
      }
    }
    const { schedules } = await during(Scheduled, (context) => context.get(Deployments).get(`${flow}/default`));
    expect(schedules).toMatchObject([
      { slug: null, schedule: { kind: 'cron', timezone: 'Europe/Amsterdam' }, parameters: { of: 'sales' } },
      { slug: 'often', schedule: { kind: 'interval', intervalMs: 21_600_000 }, parameters: {} },
    ]);
  });

  describe('keep the application from starting', () => {
    const fails = (deployment: object) =>
      startApp({ url: database.url, providers: [reports([{ name: 'bad', ...deployment }])], app });

    it.each<[string, object, string, RegExp]>([
      [
        'an unknown time zone',
        { schedules: [{ cron: '@daily', timezone: 'Mars/Phobos' }] },
        'INVALID_DEPLOYMENT',
        /Mars/,
      ],
      ['an impossible time', { schedules: [{ cron: '0 0 30 2 *' }] }, 'INVALID_DEPLOYMENT', /30 2/],
      ['a cron that is none', { schedules: [{ cron: 'at noon' }] }, 'INVALID_DEPLOYMENT', /at noon/],
      ['an interval below a second', { schedules: [{ interval: 10 }] }, 'INVALID_DEPLOYMENT', /interval/],
      ['a name with a slash', { name: 'a/b' }, 'INVALID_DEPLOYMENT', /name/],
      ['a limit of none', { concurrency: 0 }, 'INVALID_DEPLOYMENT', /concurrency/],
      [
        'more runs ahead than there may be',
        { schedules: [{ cron: '@daily', maxScheduledRuns: 101 }] },
        'INVALID_DEPLOYMENT',
        /maxScheduledRuns/,
      ],
      [
        'an end before the beginning',
        { schedules: [{ cron: '@daily', startsAt: '2030-01-01', endsAt: '2029-01-01' }] },
        'INVALID_DEPLOYMENT',
        /endsAt/,
      ],
      ['parameters beyond 512 KB', { parameters: { of: 'x'.repeat(600_000) } }, 'INVALID_DEPLOYMENT', /bytes/],
      [
        'two schedules of one slug [S09]',
        {
          schedules: [
            { cron: '@daily', slug: 'a' },
            { cron: '@hourly', slug: 'a' },
          ],
        },
        'DUPLICATE_SCHEDULE',
        /"a"/,
      ],
      ['a schedule twice', { schedules: [{ cron: '@daily' }, { cron: '@daily' }] }, 'DUPLICATE_SCHEDULE', /twice/],
    ])('with %s', async (_, deployment, code, message) => {
      const starting = fails(deployment);
      await expect(starting).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    });

    it('with two of one name', async () => {
      const twice = startApp({ url: database.url, providers: [reports([NIGHTLY, NIGHTLY])], app });
      await expect(twice).rejects.toMatchObject({ code: 'INVALID_DEPLOYMENT', field: 'name' });
    });

    it('with a schedule on what is no flow', async () => {
      @Injectable()
      class NoFlow {
        @Schedule('@daily')
        async write(): Promise<void> {}
      }
      const starting = startApp({ url: database.url, providers: [NoFlow], app });
      await expect(starting).rejects.toMatchObject({ code: 'INVALID_OPTION', place: 'NoFlow.write' });
    });
  });
});

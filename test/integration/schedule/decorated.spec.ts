import { Inject, Injectable, Module, Scope, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory, REQUEST } from '@nestjs/core';
import {
  Cron,
  CronExpression,
  Interval,
  ScheduleModule as PackageModule,
  SchedulerRegistry,
  Timeout,
} from '@nestjs/schedule';
import {
  currentRun,
  Deployments,
  Flow,
  FlowRuns,
  Flows,
  Task,
  type FlowRunView,
  type RunRequest,
  type StateType,
} from '@nestor/orchestrator';
import { ScheduleModule } from '@nestor/schedule';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { waitFor } from '../../support/wait-for.js';
import { runsOf } from '../deployments/support/deployed.js';

const FAR = CronExpression.EVERY_YEAR;

describe('methods that are decorated for @nestjs/schedule', () => {
  let database: TestDatabase;
  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());

  let open: INestApplicationContext[] = [];
  afterEach(async () => {
    await Promise.all(open.map((app) => app.close()));
    open = [];
  });

  const start = async (
    provider: Type,
    {
      options = {},
      imports = [],
      ...rest
    }: { options?: object; imports?: Type[]; app?: string; logger?: RecordingLogger } = {},
  ): Promise<INestApplicationContext> => {
    const app = await startApp({
      url: database.url,
      imports: [ScheduleModule.forRoot(options), ...imports],
      providers: [provider],
      ...rest,
    });
    open.push(app);
    return app;
  };
  const ended = (app: INestApplicationContext, flowName: string, type: StateType = 'COMPLETED'): Promise<FlowRunView> =>
    waitFor(async () => (await app.get(FlowRuns).list({ flowName, stateTypes: [type] })).at(-1) ?? null);

  it('are flows with a deployment and a schedule, as the decorators say', async () => {
    @Injectable()
    class Jobs {
      @Cron('0 30 9 * * 1-5', { name: 'reminders', timeZone: 'Europe/Berlin', waitForCompletion: true })
      remind(): void {}

      @Cron(FAR, { utcOffset: 120, disabled: true })
      async off(): Promise<void> {}

      @Cron(FAR, { name: 'patient', threshold: 60_000 })
      patient(): void {}

      @Interval('poll', 90_000)
      poll(): void {}
    }
    const app = await start(Jobs);
    const of = async (name: string) => (await app.get(Deployments).get(`${name}/default`)).schedules;
    expect(await of('reminders')).toMatchObject([
      {
        slug: 'cron',
        active: true,
        overlap: 'skip',
        catchUp: 'none',
        schedule: { kind: 'cron', cron: '30 9 * * 1,2,3,4,5', timezone: 'Europe/Berlin' },
      },
    ]);
    expect(await of('Jobs.off')).toMatchObject([
      { active: false, overlap: 'allow', schedule: { cron: '0 0 1 1 *', timezone: 'Etc/GMT-2' } },
    ]);
    expect(await of('patient')).toMatchObject([{ catchUp: 'all', catchUpWindowMs: 60_000 }]);
    expect(await of('poll')).toMatchObject([{ slug: 'interval', schedule: { kind: 'interval', intervalMs: 90_000 } }]);
  });

  it('are run at their times, with a history, whether they give a promise or not', async () => {
    @Injectable()
    class Jobs {
      readonly ids: (string | null)[] = [];

      @Cron(CronExpression.EVERY_SECOND, { name: 'tick' })
      tick(): number {
        return this.ids.push(currentRun().flowRunId);
      }

      @Interval('tock', 1_000)
      async tock(): Promise<void> {
        await this.note('tock');
      }

      @Task()
      async note(text: string): Promise<string> {
        return text;
      }
    }
    const app = await start(Jobs);
    const run = await ended(app, 'tick');
    expect(app.get(Jobs).ids).toContain(run.id);
    const { states } = await app.get(FlowRuns).get(run.id);
    expect(states.map(({ name }) => name)).toEqual(['Scheduled', 'Pending', 'Running', 'Completed']);
    const deployment = await app.get(Deployments).get('tick/default');
    const [stored] = (await runsOf(database, deployment.id)).filter(({ id }) => id === run.id);
    expect(stored).toMatchObject({ auto_scheduled: true, created_by: { type: 'SCHEDULE', display_value: 'cron' } });
    const tock = await ended(app, 'tock');
    expect((await app.get(FlowRuns).taskRunsOf(tock.id)).map(({ taskKey }) => taskKey)).toEqual(['Jobs.note']);
  });

  it('end their runs as failed with what they throw', async () => {
    @Injectable()
    class Jobs {
      @Cron(CronExpression.EVERY_SECOND, { name: 'thrower' })
      fail(): void {
        throw new Error('no luck');
      }
    }
    const app = await start(Jobs);
    const { id } = await ended(app, 'thrower', 'FAILED');
    expect((await app.get(FlowRuns).get(id)).states.at(-1)?.message).toMatch(/no luck/);
  });

  it('are run on an instance of their own where the provider is of requests, which the package cannot', async () => {
    const made: RequestJobs[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class RequestJobs {
      readonly seen: string[] = [];
      constructor(@Inject(REQUEST) readonly request: RunRequest) {
        made.push(this);
      }

      @Cron(CronExpression.EVERY_SECOND, { name: 'scoped' })
      tick(): void {
        this.seen.push(currentRun().flowRunId!);
      }
    }
    const app = await start(RequestJobs);
    await waitFor(() => made.filter(({ seen }) => seen.length > 0).length >= 2);
    await app.get(Deployments).pause('scoped/default');
    for (const { seen, request } of made.filter((one) => one.seen.length > 0)) {
      expect(seen).toEqual([request.flowRunId]);
    }
  });

  it('may be flows as well, and keep what that says', async () => {
    @Injectable()
    class Jobs {
      @Cron(FAR, { name: 'ignored' })
      @Flow({ name: 'nightly', tags: ['night'] })
      async run({ of = 'all' }: { of?: string } = {}): Promise<string> {
        return of;
      }
    }
    const app = await start(Jobs);
    expect((await app.get(Deployments).get('nightly/default')).schedules).toMatchObject([{ slug: 'cron' }]);
    const run = await app.get(Flows).start(Jobs, 'run', { of: 'some' });
    expect(await run.result()).toBe('some');
    expect((await app.get(FlowRuns).get(run.id)).tags).toEqual(['night']);
  });

  it('stay ordinary methods for those who call them, and flows for those who start them', async () => {
    @Injectable()
    class Jobs {
      calls = 0;
      @Cron(FAR, { name: 'by-hand' })
      async run(): Promise<number> {
        return (this.calls += 1);
      }
    }
    const app = await start(Jobs);
    expect(await app.get(Jobs).run()).toBe(1);
    expect(await app.get(FlowRuns).list({ flowName: 'by-hand', stateTypes: ['COMPLETED'] })).toEqual([]);
    await (await app.get(Flows).start(Jobs, 'run')).result();
    expect(app.get(Jobs).calls).toBe(2);
    expect(await app.get(FlowRuns).list({ flowName: 'by-hand', stateTypes: ['COMPLETED'] })).toHaveLength(1);
  });

  it('run once in each process that starts where they have @Timeout(), and not once it has stopped', async () => {
    @Injectable()
    class Jobs {
      warm = 0;
      @Timeout('warm-up', 20)
      warmUp(): void {
        this.warm += 1;
      }

      @Timeout('never', 60_000)
      never(): void {
        throw new Error('too late');
      }
    }
    const apps = [await start(Jobs, { app: 'warming' }), await start(Jobs, { app: 'warming' })];
    await waitFor(
      async () => (await apps[0]!.get(FlowRuns).list({ flowName: 'warm-up', stateTypes: ['COMPLETED'] })).length === 2,
    );
    expect(apps.map((app) => app.get(Jobs).warm)).toEqual([1, 1]);
    expect(await apps[0]!.get(Deployments).list({ flowName: 'warm-up' })).toEqual([]);
  });

  it('count as far as the options say', async () => {
    @Injectable()
    class Jobs {
      @Cron(FAR, { name: 'unread-cron' })
      one(): void {}
      @Interval('unread-interval', 60_000)
      two(): void {}
    }
    const app = await start(Jobs, { options: { cronJobs: false } });
    expect(await app.get(Deployments).list({ flowName: 'unread-cron' })).toEqual([]);
    expect(await app.get(Deployments).list({ flowName: 'unread-interval' })).toHaveLength(1);
  });

  it('leave room for jobs that the application adds itself, which end with it', async () => {
    @Injectable()
    class Adding {
      ticks = 0;
      constructor(registry: SchedulerRegistry) {
        registry.addInterval(
          'own',
          setInterval(() => (this.ticks += 1), 5),
        );
      }
    }
    const app = await start(Adding);
    await waitFor(() => app.get(Adding).ticks > 2);
    await app.close();
    open = [];
    expect(app.get(SchedulerRegistry, { strict: false }).getIntervals()).toEqual([]);
  });

  it('are told of what means nothing here', async () => {
    @Injectable()
    class Jobs {
      @Cron(FAR, { name: 'delayed', initialDelay: 5_000 })
      run(): void {}
    }
    const logger = new RecordingLogger();
    await start(Jobs, { logger });
    expect(logger.lines.filter(({ message }) => message.includes('initialDelay'))).toHaveLength(1);
  });

  it('have nothing against another module of that name', async () => {
    @Module({})
    class ScheduleModule {} // of a school, say
    @Injectable()
    class Jobs {
      @Interval('of-a-school', 60_000)
      ring(): void {}
    }
    const app = await start(Jobs, { imports: [ScheduleModule] });
    expect(await app.get(Deployments).list({ flowName: 'of-a-school' })).toHaveLength(1);
  });

  describe('keep the application from starting', () => {
    it('where the module of the package is imported as well', async () => {
      @Module({ imports: [PackageModule.forRoot()] })
      class Elsewhere {}
      @Injectable()
      class Jobs {}
      await expect(start(Jobs, { imports: [Elsewhere] })).rejects.toMatchObject({ code: 'SCHEDULED_TWICE' });
    });

    it('where there is no orchestrator', async () => {
      @Module({ imports: [ScheduleModule.forRoot()] })
      class Alone {}
      const starting = NestFactory.createApplicationContext(Alone, { logger: false, abortOnError: false });
      await expect(starting).rejects.toMatchObject({ code: 'SCHEDULE_WITHOUT_ORCHESTRATOR' });
    });

    it.each<[string, MethodDecorator, string, RegExp]>([
      ['an expression that cannot be read', Cron('at noon'), 'INVALID_OPTION', /Bad\.run.*"at noon"/],
      ['a zone that there is not', Cron(FAR, { timeZone: 'Mars/Phobos' }), 'INVALID_DEPLOYMENT', /Bad\.run.*Mars/],
      ['an offset that no zone has', Cron(FAR, { utcOffset: 17 }), 'INVALID_OPTION', /Bad\.run.*17/],
      ['an interval below a second', Interval(500), 'INVALID_DEPLOYMENT', /Bad\.run.*shorter than a second/],
      ['a name that cannot be kept', Interval('a/b', 5_000), 'INVALID_OPTION', /Bad\.run.*"a\/b"/],
    ])('with %s', async (_, decorator, code, message) => {
      @Injectable()
      class Bad {
        @decorator
        run(): void {}
      }
      await expect(start(Bad)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    });

    it('with a task', async () => {
      @Injectable()
      class Bad {
        @Interval(5_000)
        @Task()
        async run(): Promise<void> {}
      }
      await expect(start(Bad)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        place: 'Bad.run',
        option: '@Interval()',
      });
    });

    it('with two of one name', async () => {
      @Injectable()
      class Bad {
        @Interval('same', 5_000)
        one(): void {}
        @Cron(FAR, { name: 'same' })
        two(): void {}
      }
      await expect(start(Bad)).rejects.toMatchObject({ code: 'FLOW_REGISTERED_TWICE' });
    });
  });
});

import {
  Controller,
  Get,
  Inject,
  Injectable,
  Query,
  Scope,
  SetMetadata,
  UseGuards,
  type CanActivate,
  type INestApplicationContext,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { AmbiguousEngineError, currentRun, Flow, FlowRuns, Flows, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp, testModule } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { taskRunsOf } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';

const AUDIENCE = 'audience';
const PLACE = 'place';

class Nobody implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Injectable()
class Prices {
  @Task()
  async of(item: string): Promise<number> {
    return item.length;
  }
}

@Injectable()
class Shop {
  constructor(private readonly prices: Prices) {}

  @Flow()
  async total(...items: string[]): Promise<{ id: string; total: number }> {
    const prices = [await this.prices.of(items[0]!), await this.round(await this.prices.of(items[1]!))];
    return { id: currentRun().flowRunId!, total: prices[0]! + prices[1]! };
  }

  @Task()
  async round(n: number): Promise<number> {
    return Math.round(n);
  }
}

@Injectable({ scope: Scope.REQUEST })
class RequestScoped {
  static instances = 0;
  readonly instance = ++RequestScoped.instances;
  constructor(private readonly prices: Prices) {}

  @Flow()
  async price(item: string): Promise<{ id: string; price: number; instance: number }> {
    return { id: currentRun().flowRunId!, price: await this.prices.of(item), instance: this.instance };
  }
}

@Injectable({ scope: Scope.TRANSIENT })
class Transient {
  @Flow()
  async run(): Promise<string> {
    return currentRun().flowRunId!;
  }
}

@Injectable()
class ConsumerOfTransient {
  constructor(readonly transient: Transient) {}
}

@Controller('quotes')
class Quotes {
  constructor(private readonly prices: Prices) {}

  @Get()
  @Flow({ name: 'quote' })
  async quote(@Query('item') item: string): Promise<{ id: string; price: number }> {
    return { id: currentRun().flowRunId!, price: await this.prices.of(item) };
  }

  @Flow()
  @UseGuards(Nobody)
  @Get('guarded-below')
  async guardedBelow(): Promise<string> {
    return 'let in';
  }

  @UseGuards(Nobody)
  @Get('guarded-above')
  @Flow()
  async guardedAbove(): Promise<string> {
    return 'let in';
  }
}

@Controller({ path: 'requests', scope: Scope.REQUEST })
class PerRequest {
  constructor(@Inject(REQUEST) private readonly request: { url?: string } | undefined) {}

  @Get()
  @Flow()
  async handle(): Promise<{ id: string; url: string | null }> {
    return { id: currentRun().flowRunId!, url: this.request?.url ?? null };
  }
}

@Injectable()
class Decorated {
  @SetMetadata(AUDIENCE, 'everyone')
  @Flow()
  @SetMetadata(PLACE, 'below')
  async two(_first: string, _second: string): Promise<void> {}

  @Task()
  async one(_only: string): Promise<void> {}
}

abstract class Report {
  @Flow()
  async write(): Promise<string> {
    return `${await this.title()} of ${this.constructor.name}`;
  }

  @Task()
  async title(): Promise<string> {
    return 'report';
  }
}

@Injectable()
class SalesReport extends Report {}

@Injectable()
class StockReport extends Report {
  @Task()
  override async title(): Promise<string> {
    return `stock ${await super.title()}`;
  }
}

@Injectable()
class PlainReport extends Report {
  override async title(): Promise<string> {
    return `plain ${await super.title()}`;
  }
}

@Injectable()
class Aliased {
  @Flow()
  async run(): Promise<string> {
    return currentRun().flowRunId!;
  }
}

const ALIASED = Symbol('aliased');

describe('in a Nest application', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;
  let runs: FlowRuns;

  beforeAll(async () => {
    database = await testDatabase();
    const module = testModule({
      url: database.url,
      providers: [
        ...[Prices, Shop, RequestScoped, Transient, ConsumerOfTransient, Decorated],
        ...[SalesReport, StockReport, PlainReport],
        { provide: ALIASED, useClass: Aliased, scope: Scope.REQUEST },
      ],
      controllers: [Quotes, PerRequest],
    });
    const testing = await Test.createTestingModule({ imports: [module] })
      .setLogger(new RecordingLogger())
      .compile();
    app = testing.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
    await app.init();
    runs = app.get(FlowRuns);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  const taskKeys = async (id: string): Promise<string[]> =>
    (await taskRunsOf(database, id)).map((task) => task.task_key);

  it('calls through this and between providers are tasks', async () => {
    const { id, total } = await app.get(Shop).total('apple', 'fig');
    expect(total).toBe(8);
    expect(await taskKeys(id)).toEqual(['Prices.of', 'Prices.of', 'Shop.round']);
  });

  it('request-scoped providers are tracked, a fresh instance per run', async () => {
    const flows = app.get(Flows);
    const handles = [await flows.start(RequestScoped, 'price', 'a'), await flows.start(RequestScoped, 'price', 'b')];
    const [one, two] = [await handles[0]!.result(), await handles[1]!.result()];
    expect(one.instance).not.toBe(two.instance);
    expect(await taskKeys(one.id)).toEqual(['Prices.of']);

    const resolved = await app.resolve(RequestScoped);
    const called = await resolved.price('c');
    expect(called.instance).toBe(resolved.instance);
    expect(await runs.get(called.id)).toMatchObject({ flowName: 'RequestScoped.price', parameters: { 0: 'c' } });
  });

  it('request-scoped providers that are registered under a token can be started', async () => {
    const handle = await app.get(Flows).start(Aliased, 'run');
    expect(await handle.result()).toBe(handle.id);
  });

  it('transient providers are tracked', async () => {
    const id = await app.get(ConsumerOfTransient).transient.run();
    expect(await runs.get(id)).toMatchObject({ flowName: 'Transient.run', stateType: 'COMPLETED' });
    expect(await (await app.get(Flows).start(Transient, 'run')).result()).toEqual(expect.any(String));
  });

  it('a request to a controller method is a run', async () => {
    const response = await app.inject({ method: 'GET', url: '/quotes?item=pear' });
    const { id, price } = response.json<{ id: string; price: number }>();
    expect(price).toBe(4);
    expect(await runs.get(id)).toMatchObject({ flowName: 'quote', parameters: { 0: 'pear' }, stateType: 'COMPLETED' });
    expect(await taskKeys(id)).toEqual(['Prices.of']);
  });

  it('a request to a controller that Nest makes anew for it is a run', async () => {
    const { id, url } = (await app.inject({ method: 'GET', url: '/requests' })).json<{ id: string; url: string }>();
    expect(url).toBe('/requests');
    expect(await runs.get(id)).toMatchObject({ flowName: 'PerRequest.handle' });
    const started = await app.get(Flows).start(PerRequest, 'handle');
    expect(await started.result()).toEqual({ id: started.id, url: null });
  });

  it.each(['guarded-below', 'guarded-above'])('guards apply to decorated methods: %s', async (path) => {
    const before = (await runs.list({ limit: 1 }))[0]?.id;
    expect((await app.inject({ method: 'GET', url: `/quotes/${path}` })).statusCode).toBe(403);
    expect((await runs.list({ limit: 1 }))[0]?.id).toBe(before);
  });

  it('decorated methods keep their name, their length and the metadata of other decorators', () => {
    const { two, one } = Decorated.prototype;
    expect([two.name, two.length, one.name, one.length]).toEqual(['two', 2, 'one', 1]);
    expect(Reflect.getMetadata(AUDIENCE, two)).toBe('everyone');
    expect(Reflect.getMetadata(PLACE, two)).toBe('below');
  });

  describe('inherited decorated methods', () => {
    it('are flows and tasks of each subclass', async () => {
      expect(await app.get(SalesReport).write()).toBe('report of SalesReport');
      const [run] = await runs.list({ limit: 1 });
      expect(run!.flowName).toBe('SalesReport.write');
      expect(await taskKeys(run!.id)).toEqual(['SalesReport.title']);
    });

    it('may be overridden by a decorated method that calls them', async () => {
      expect(await app.get(StockReport).write()).toBe('stock report of StockReport');
      const [run] = await runs.list({ limit: 1 });
      expect(await taskKeys(run!.id)).toEqual(['StockReport.title']); // one call, one task
    });

    it('may be overridden by a plain method that calls them', async () => {
      expect(await app.get(PlainReport).write()).toBe('plain report of PlainReport');
      const [run] = await runs.list({ limit: 1 });
      expect(await taskKeys(run!.id)).toEqual([]);
    });
  });
});

describe('without a Nest application', () => {
  it('decorated methods of an instance made by hand are plain methods', async () => {
    const prices = new Prices();
    expect(await prices.of('pear')).toBe(4);
    await expect(new Transient().run()).rejects.toMatchObject({ code: 'NO_CURRENT_RUN' });
  });

  it('a method that lost its instance fails as any does', async () => {
    const { title } = SalesReport.prototype;
    const unbound = title;
    expect(await unbound()).toBe('report');
  });
});

@Injectable()
class Shared {
  @Flow()
  async where(): Promise<string> {
    return currentRun().flowRunId!;
  }

  @Flow()
  async through(other: { call: () => Promise<unknown> }): Promise<unknown> {
    return other.call();
  }

  @Flow({ name: 'by hand' })
  async byHand(): Promise<{ id: string; inner: string }> {
    return { id: currentRun().flowRunId!, inner: await new Shared().step() };
  }

  @Task()
  async step(): Promise<string> {
    return currentRun().taskRunId!;
  }
}

@Injectable()
class Caller {
  call: () => Promise<unknown> = async () => undefined;

  @Flow()
  async around(): Promise<{ id: string; inner: unknown }> {
    return { id: currentRun().flowRunId!, inner: await this.call() };
  }
}

describe('with two applications in one process', () => {
  let databases: [TestDatabase, TestDatabase];
  let one: INestApplicationContext;
  let two: INestApplicationContext;

  beforeAll(async () => (databases = [await testDatabase(), await testDatabase()]));
  afterAll(() => Promise.all(databases.map((database) => database.drop())));
  beforeEach(async () => {
    one = await startApp({ url: databases[0].url, providers: [Shared, Caller] });
    two = await startApp({ url: databases[1].url, providers: [Shared] });
  });
  afterEach(() => Promise.all([one.close(), two.close()]));

  const knows = async (app: INestApplicationContext, id: string): Promise<boolean> =>
    (await app.get(FlowRuns).find(id)) !== null;

  it('each instance goes to its own', async () => {
    const [first, second] = [await one.get(Shared).where(), await two.get(Shared).where()];
    expect([await knows(one, first), await knows(two, first)]).toEqual([true, false]);
    expect([await knows(one, second), await knows(two, second)]).toEqual([false, true]);
  });

  it('an instance made by hand belongs to neither, and the call says so', async () => {
    const call = new Shared().where();
    await expect(call).rejects.toBeInstanceOf(AmbiguousEngineError);
    await expect(call).rejects.toMatchObject({
      code: 'ENGINE_AMBIGUOUS',
      message: expect.stringMatching(/^Shared\.where is registered by several.*app\.get/),
    });
  });

  it('within a run, an instance made by hand goes where the run is', async () => {
    for (const [app, database] of [
      [one, databases[0]],
      [two, databases[1]],
    ] as const) {
      const { id, inner } = await app.get(Shared).byHand();
      expect(await taskRunsOf(database, id)).toMatchObject([{ id: inner, task_key: 'Shared.step' }]);
    }
  });

  it('a run of one that calls an instance of the other starts a run there, not a part of its own', async () => {
    one.get(Caller).call = () => two.get(Shared).where();
    const { id, inner } = await one.get(Caller).around();
    expect(await knows(two, inner as string)).toBe(true);
    expect(await two.get(FlowRuns).get(inner as string)).toMatchObject({ parentTaskRunId: null });
    expect(await taskRunsOf(databases[0], id)).toEqual([]);
    expect(await taskRunsOf(databases[1], id)).toEqual([]);
  });

  it('the methods of one that was closed are plain again, whatever the other does', async () => {
    const instance = one.get(Shared);
    await one.close();
    await expect(instance.step()).rejects.toMatchObject({ code: 'NO_CURRENT_RUN' });
    expect(await knows(two, await two.get(Shared).where())).toBe(true);
    expect(await knows(two, await new Shared().where())).toBe(true); // the only one left
    await two.close();
    await expect(new Shared().where()).rejects.toMatchObject({ code: 'NO_CURRENT_RUN' });
  });
});

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Param,
  Scope,
  UseGuards,
  type CanActivate,
  type INestApplicationContext,
} from '@nestjs/common';
import {
  ContextIdFactory,
  ModuleRef,
  REQUEST,
  type ContextId,
  type ContextIdStrategy,
  type HostComponentInfo,
} from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { currentRun, Flow, FlowRuns, Flows, RunRequest, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp, testModule } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { Relay } from '../../support/relay.js';
import { waitFor } from '../../support/wait-for.js';

const OWNER = Symbol('owner');

/** What is known of a run, or of a request, wherever it is injected. */
@Injectable({ scope: Scope.REQUEST })
class Session {
  static made: WeakRef<Session>[] = [];
  constructor(
    @Inject(REQUEST) readonly request: RunRequest | { readonly url: string },
    private readonly moduleRef: ModuleRef,
  ) {
    Session.made.push(new WeakRef(this));
  }

  /** As providers look others up that they do not always need. */
  lookUp(): Promise<Session> {
    return this.moduleRef.resolve(Session, ContextIdFactory.getByRequest(this.request as Record<string, unknown>), {
      strict: false,
    });
  }
}

@Injectable({ scope: Scope.TRANSIENT })
class Notebook {
  readonly lines: string[] = [];
}

@Injectable()
class Ledger {
  constructor(
    readonly session: Session,
    readonly notebook: Notebook,
  ) {}
}

let gate = new Gate();

/** Request-scoped by what it injects. */
@Injectable()
class Booking {
  static asked: RunRequest[] = [];

  constructor(
    readonly session: Session,
    readonly ledger: Ledger,
    readonly notebook: Notebook,
    @Inject(OWNER) private readonly owner: string,
  ) {}

  @Flow({ name: 'book' })
  async book(_params: {
    seats: number;
    on: Date;
  }): Promise<{ oneSession: boolean; oneNotebook: boolean; looked: boolean }> {
    const request = this.session.request as RunRequest;
    Booking.asked.push(request);
    if (this.owner === 'first') await gate.pass();
    return {
      oneSession: this.ledger.session === this.session,
      oneNotebook: this.ledger.notebook === this.notebook,
      looked: (await this.session.lookUp()) === this.session,
    };
  }

  @Flow({ name: 'book at last', retries: 2 })
  async bookAtLast(): Promise<number> {
    this.notebook.lines.push(`attempt ${currentRun().attempt}`);
    if (currentRun().attempt < 3) throw new Error('fully booked');
    return this.notebook.lines.length;
  }

  @Flow({ name: 'url' })
  async url(): Promise<string> {
    return (this.session.request as { url: string }).url;
  }
}

/** A guard that knows the run: made for it, together with what else is. */
@Injectable()
class SessionGuard implements CanActivate {
  static asked: RunRequest[] = [];
  static sessions: Session[] = [];
  constructor(private readonly session: Session) {}

  canActivate(): boolean {
    SessionGuard.asked.push(this.session.request as RunRequest);
    SessionGuard.sessions.push(this.session);
    return true;
  }
}

@UseGuards(SessionGuard)
@Injectable()
class Guarded {
  constructor(readonly session: Session) {}

  @Flow({ name: 'outer' })
  async outer(params: { place: string }): Promise<boolean> {
    await this.step();
    await this.inner({ place: `inside ${params.place}` });
    return SessionGuard.sessions[0] === this.session;
  }

  @Flow({ name: 'inner' })
  async inner(_params: { place: string }): Promise<void> {}

  @Task()
  async step(): Promise<void> {}
}

@Injectable({ scope: Scope.TRANSIENT })
class Counter implements CanActivate {
  static made = 0;
  private calls = 0;
  constructor() {
    Counter.made += 1;
  }

  canActivate(): boolean {
    return (this.calls += 1) > 0;
  }
}

@Injectable()
class CountedOnce {
  @UseGuards(Counter)
  @Flow({ name: 'counted' })
  async run(): Promise<void> {}
}

@Injectable({ scope: Scope.TRANSIENT })
class CountedAnew {
  @UseGuards(Counter)
  @Flow({ name: 'counted anew' })
  async run(): Promise<void> {}
}

@Injectable({ scope: Scope.REQUEST })
class Unmakeable {
  constructor() {
    throw new Error('out of order');
  }

  @Flow({ name: 'never' })
  async run(): Promise<void> {}
}

@Controller('bookings')
class Bookings {
  constructor(
    private readonly booking: Booking,
    private readonly guarded: Guarded,
  ) {}

  @Get('url')
  url(): Promise<string> {
    return this.booking.url();
  }

  @Get('guarded/:place')
  guardedOuter(@Param('place') place: string): Promise<boolean> {
    return this.guarded.outer({ place });
  }
}

/** One of each tenant, for as long as the application is. */
@Injectable({ scope: Scope.REQUEST, durable: true })
class TenantConnection {
  static made: string[] = [];
  readonly tenant: string;
  constructor(@Inject(REQUEST) payload: { readonly tenant: string }) {
    this.tenant = payload.tenant;
    TenantConnection.made.push(this.tenant);
  }
}

@Injectable()
class Invoicing {
  constructor(private readonly connection: TenantConnection) {}

  @Flow({ name: 'invoice' })
  async invoice(_params: { tenant: string }): Promise<string> {
    return this.connection.tenant;
  }
}

@Injectable({ scope: Scope.REQUEST })
class Reminders {
  constructor(
    private readonly connection: TenantConnection,
    @Inject(REQUEST) private readonly request: RunRequest,
  ) {}

  @Flow({ name: 'remind' })
  async remind(_params: { tenant: string }): Promise<unknown> {
    return { connectedTo: this.connection.tenant, asked: this.request.parameters };
  }
}

class ByTenant implements ContextIdStrategy<RunRequest> {
  private readonly tenants = new Map<string, ContextId>();

  attach(contextId: ContextId, request: RunRequest) {
    const tenant = request instanceof RunRequest ? String(request.parameters.tenant) : 'nobody';
    const shared = this.tenants.get(tenant) ?? ContextIdFactory.create();
    this.tenants.set(tenant, shared);
    return {
      resolve: ({ isTreeDurable }: HostComponentInfo) => (isTreeDurable ? shared : contextId),
      payload: { tenant },
    };
  }
}

describe('For each run', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;
  let flows: Flows;

  beforeAll(async () => {
    database = await testDatabase();
    const module = testModule({
      url: database.url,
      providers: [
        ...[Session, Notebook, Ledger, Booking, SessionGuard, Guarded, CountedOnce, CountedAnew, Unmakeable],
        ...[TenantConnection, Invoicing, Reminders],
        { provide: OWNER, useValue: 'the only one' },
      ],
      controllers: [Bookings],
    });
    const testing = await Test.createTestingModule({ imports: [module] })
      .setLogger(new RecordingLogger())
      .compile();
    app = testing.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
    await app.init();
    flows = app.get(Flows);
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(() => {
    Booking.asked = [];
    SessionGuard.asked = [];
    SessionGuard.sessions = [];
  });

  const params = { seats: 2, on: new Date('2027-01-01') };

  it('request-scoped providers are made once, and those that are transient for each consumer', async () => {
    const outcome = { oneSession: true, oneNotebook: false, looked: true };
    for (const run of [await flows.start(Booking, 'book', params), await flows.start(Booking, 'book', params)]) {
      expect(await run.result()).toEqual(outcome);
    }
    expect(new Set(Booking.asked).size).toBe(2);
  });

  it('they are told the run as their request', async () => {
    const run = await flows.with({ name: 'new year', tags: ['party'] }).start(Booking, 'book', params);
    await run.result();
    expect(Booking.asked).toEqual([new RunRequest(run.id, 'new year', 'book', params, ['party'])]);
  });

  it('they stay the same from attempt to attempt', async () => {
    expect(await (await flows.start(Booking, 'bookAtLast')).result()).toBe(3);
  });

  it('they are made anew in another process, with the same request', async () => {
    gate = new Gate();
    const relay = new Relay(database);
    const start = (owner: string) =>
      relay.start(owner, undefined, {
        providers: [Session, Notebook, Ledger, Booking, { provide: OWNER, useValue: owner }],
      });
    try {
      const first = await start('first');
      const { id } = await first
        .get(Flows)
        .with({ tags: ['party'] })
        .start(Booking, 'book', params);
      await gate.reached;
      await first.die();
      await (await start('second')).result(id);
      const [before, after] = Booking.asked;
      expect(after).not.toBe(before);
      expect(after).toEqual(before);
      expect(after).toMatchObject({ flowRunId: id, parameters: params, tags: ['party'] });
    } finally {
      gate.open();
      await relay.close();
    }
  });

  it('what was made for an HTTP request stays with that', async () => {
    expect((await app.inject({ method: 'GET', url: '/bookings/url' })).payload).toBe('/bookings/url');
  });

  describe('enhancers that inject what is request-scoped', () => {
    it('belong to the run, as its provider does', async () => {
      const run = await flows.start(Guarded, 'outer', { place: 'here' });
      expect(await run.result()).toBe(true);
      const [flow, task, subflow] = SessionGuard.asked;
      expect(flow).toMatchObject({ flowRunId: run.id, flowName: 'outer', parameters: { place: 'here' } });
      expect(task).toBe(flow);
      expect(subflow).toMatchObject({ flowName: 'inner', parameters: { place: 'inside here' } });
    });

    it('are made for the run also where its provider was made for an HTTP request', async () => {
      expect((await app.inject({ method: 'GET', url: '/bookings/guarded/there' })).payload).toBe('false');
      expect(SessionGuard.asked[0]).toMatchObject({ flowName: 'outer', parameters: { place: 'there' } });
    });

    it('are told the arguments of a task that is called outside any flow', async () => {
      const guarded = await app.resolve(Guarded);
      await guarded.step();
      expect(SessionGuard.asked).toEqual([new RunRequest(null, null, null, {}, [])]);
    });
  });

  it('transient enhancers are made once per provider', async () => {
    const before = Counter.made;
    await app.get(CountedOnce).run();
    await app.get(CountedOnce).run();
    expect(Counter.made).toBe(before);
    await (await flows.start(CountedAnew, 'run')).result();
    expect(Counter.made).toBeGreaterThan(before);
  });

  it('a provider that cannot be made crashes the run, and whoever starts it is told', async () => {
    await expect(flows.start(Unmakeable, 'run')).rejects.toThrow('out of order');
    const [run] = await app.get(FlowRuns).list({ limit: 1 });
    expect(await app.get(FlowRuns).get(run!.id)).toMatchObject({
      stateType: 'CRASHED',
      states: [{}, { message: expect.stringContaining('No instance of Unmakeable could be had: Error: out of order') }],
    });
  });

  describe('durable providers', () => {
    beforeAll(() => ContextIdFactory.apply(new ByTenant()));
    afterAll(() => ContextIdFactory.apply(undefined as unknown as ContextIdStrategy));
    beforeEach(() => (TenantConnection.made = []));

    const invoice = async (tenant: string): Promise<string> =>
      (await flows.start(Invoicing, 'invoice', { tenant })).result();

    it('are shared by the runs that a strategy puts together', async () => {
      const tenants = ['north', 'south', 'north', 'south'];
      expect(await Promise.all(tenants.map(invoice))).toEqual(tenants);
      expect(await invoice('north')).toBe('north');
      expect(TenantConnection.made.sort()).toEqual(['north', 'south']);
    });

    it('are there for providers that are made for one run', async () => {
      const run = await flows.start(Reminders, 'remind', { tenant: 'west' });
      expect(await run.result()).toEqual({ connectedTo: 'west', asked: { tenant: 'west' } });
      expect(await invoice('west')).toBe('west');
      expect(TenantConnection.made).toEqual(['west']);
    });
  });
});

describe('After a run', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;

  beforeAll(async () => {
    database = await testDatabase();
    const providers = [Session, Notebook, Ledger, Booking, SessionGuard, Guarded, { provide: OWNER, useValue: 'it' }];
    app = await startApp({ url: database.url, providers });
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  it('nothing that was made for it stays in memory', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const run = async (place: string): Promise<unknown> =>
      (await app.get(Flows).start(Guarded, 'outer', { place })).result();
    Session.made = [];
    for (let n = 0; n < 20; n += 1) await run(`no. ${n}`);
    [SessionGuard.asked, SessionGuard.sessions] = [[], []];

    expect(Session.made).toHaveLength(40); // of flow and subflow
    await waitFor(() => {
      collect();
      // Nest may refer to what it made first and last.
      return Session.made.filter((session) => session.deref() !== undefined).length <= 4;
    });
  });
});

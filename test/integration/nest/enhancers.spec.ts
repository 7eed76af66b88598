import {
  BadRequestException,
  Catch,
  Controller,
  ForbiddenException,
  Get,
  Inject,
  Injectable,
  NotFoundException,
  ParseIntPipe,
  SetMetadata,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
  type ArgumentMetadata,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, Reflector } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { currentRun, Flow, FlowRuns, Flows, Task } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import * as transformerPackage from 'class-transformer';
import * as validatorPackage from 'class-validator';
import { IsInt, Min } from 'class-validator';
import { catchError, map, of, tap, throwError, type Observable } from 'rxjs';
import { startApp, testModule } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { taskRunsOf } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { Relay } from '../../support/relay.js';

/** What happened, in order. */
let trace: string[] = [];

const OWNER = Symbol('owner');
const Roles = (...roles: string[]) => SetMetadata('roles', roles);

@Injectable()
class Tracer implements CanActivate, NestInterceptor, PipeTransform {
  canActivate(): boolean {
    trace.push('guard');
    return true;
  }

  intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
    trace.push('interceptor');
    return next.handle().pipe(
      tap(() => trace.push('interceptor')),
      catchError((error: unknown) => {
        trace.push('interceptor');
        return throwError(() => error);
      }),
    );
  }

  transform(value: unknown): unknown {
    trace.push('pipe');
    return value;
  }
}

@Catch()
class TracingFilter implements ExceptionFilter {
  catch(error: Error): never {
    trace.push('filter');
    throw error;
  }
}

@Injectable()
class Ordered {
  @UseGuards(Tracer)
  @UseInterceptors(Tracer)
  @UsePipes(Tracer)
  @UseFilters(TracingFilter)
  @Flow()
  async flow(problem: string | null): Promise<string> {
    return this.perform(problem);
  }

  @UseGuards(Tracer)
  @UseInterceptors(Tracer)
  @UsePipes(Tracer)
  @UseFilters(TracingFilter)
  @Task()
  async task(problem: string | null): Promise<string> {
    return this.perform(problem);
  }

  private async perform(problem: string | null): Promise<string> {
    trace.push('method');
    if (problem !== null) throw new RangeError(problem);
    return 'done';
  }
}

/** Lets in whoever has the role that a method asks for. */
@Injectable()
class RolesGuard implements CanActivate {
  static role = 'nobody';
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    trace.push(`guard of ${context.getClass().name}.${context.getHandler().name}`);
    const roles = this.reflector.getAllAndOverride<string[]>('roles', [context.getHandler(), context.getClass()]);
    return roles.includes(RolesGuard.role);
  }
}

@UseGuards(RolesGuard)
@Roles('anybody')
@Injectable()
class Archive {
  @Roles('editor')
  @Flow({ retries: 1 })
  async publish(): Promise<string> {
    trace.push('publish');
    return 'published';
  }

  @Flow()
  @Roles('reader')
  async read(): Promise<string> {
    return 'read';
  }

  @Flow()
  async browse(): Promise<string> {
    return 'browsed';
  }

  @Task()
  @Roles('editor')
  async shred(): Promise<string> {
    return 'shredded';
  }
}

@Injectable()
class ArchiveTour {
  constructor(private readonly archive: Archive) {}

  @Flow()
  async shred(): Promise<{ id: string; refusal: unknown }> {
    const refusal = await this.archive
      .shred()
      .catch((error: unknown) => [
        error instanceof ForbiddenException,
        (error as ForbiddenException).getStatus(),
        (error as Error).message,
      ]);
    return { id: currentRun().flowRunId!, refusal };
  }
}

@Controller()
class ArchiveController {
  constructor(private readonly archive: Archive) {}

  @Get('shred')
  shred(): Promise<string> {
    return this.archive.shred();
  }

  @UseGuards(Tracer)
  @UseInterceptors(Tracer)
  @Get('visit')
  @Flow({ name: 'visit' })
  async visit(): Promise<string> {
    trace.push('method');
    return 'visited';
  }
}

class Envelope implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { taskRunId } = currentRun();
    return next
      .handle()
      .pipe(
        map((content: unknown) => ({ type: context.getType<string>(), args: context.getArgs(), taskRunId, content })),
      );
  }
}

class Countdown implements NestInterceptor {
  intercept(): Observable<number> {
    return of(3, 2, 1);
  }
}

@Catch(NotFoundException)
class Missing implements ExceptionFilter<NotFoundException> {
  catch(error: NotFoundException, host: ArgumentsHost): string {
    return `${host.getType<string>()}: no ${host.getArgByIndex<string>(0)}, ${error.message}`;
  }
}

@Catch(RangeError)
class AsBadRequest implements ExceptionFilter<RangeError> {
  catch(error: RangeError): never {
    throw new BadRequestException(error.message);
  }
}

class Measure {
  @IsInt()
  @Min(1)
  metres!: number;

  describe(): string {
    return `${this.metres} m`;
  }
}

class Upper implements PipeTransform {
  static seen: ArgumentMetadata[] = [];
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    Upper.seen.push(metadata);
    return typeof value === 'string' ? value.toUpperCase() : value;
  }
}

/** Asks what is a task to others. */
@Injectable()
class Inquirer implements CanActivate {
  constructor(private readonly ordered: Ordered) {}

  async canActivate(): Promise<boolean> {
    return (await this.ordered.task(null)) === 'done';
  }
}

@Injectable()
class Workshop {
  @UseGuards(Inquirer)
  @Flow()
  async inquired(): Promise<string> {
    return currentRun().flowRunId!;
  }

  @Flow()
  async enveloped(): Promise<{ id: string; enveloped: unknown }> {
    return { id: currentRun().flowRunId!, enveloped: await this.envelop('a', 2) };
  }

  @UseInterceptors(Envelope)
  @Task()
  async envelop(...inputs: unknown[]): Promise<unknown> {
    return inputs.length;
  }

  @UseInterceptors(Countdown)
  @Flow()
  async count(): Promise<number> {
    return 99;
  }

  @UseFilters(Missing, AsBadRequest)
  @Flow()
  async find(what: string): Promise<string> {
    if (what === 'needle') throw new NotFoundException('look elsewhere');
    if (what === 'hay') throw new RangeError('too much of it');
    throw new TypeError('what?');
  }

  @UsePipes(Upper)
  @Flow()
  async shout(first: string, ...others: string[]): Promise<string[]> {
    return [first, ...others];
  }

  @UsePipes(new ParseIntPipe())
  @Task()
  async double(digits: number): Promise<number> {
    return digits * 2;
  }

  // Jest cannot `import()` what the pipe would otherwise load by itself.
  @UsePipes(new ValidationPipe({ transform: true, validatorPackage, transformerPackage }))
  @Task()
  async measure(measure: Measure): Promise<string> {
    return measure.describe();
  }
}

/** Says in whose process it was asked. */
@Injectable()
class Bouncer implements CanActivate {
  constructor(@Inject(OWNER) private readonly owner: string) {}

  canActivate(context: ExecutionContext): boolean {
    trace.push(`${[context.getHandler().name, ...context.getArgs<unknown[]>()].join(' ')} in ${this.owner}`);
    return true;
  }
}

let gate = new Gate();

class SlowGuard implements CanActivate {
  async canActivate(): Promise<boolean> {
    await gate.pass();
    return true;
  }
}

@Injectable()
class Impatient {
  @UseGuards(SlowGuard)
  @Task({ timeout: '20ms' })
  async act(): Promise<void> {
    trace.push('acted');
  }
}

@UseGuards(Bouncer)
@Injectable()
class LongWay {
  constructor(@Inject(OWNER) private readonly owner: string) {}

  @Flow({ name: 'long way' })
  async walk(): Promise<string[]> {
    const steps = [await this.step('one')];
    if (this.owner === 'first') await gate.pass();
    return [...steps, await this.step('two')];
  }

  @Flow({ name: 'stumbling', retries: 1 })
  async stumble(): Promise<string> {
    await this.step('one');
    if (currentRun().attempt === 1) throw new Error('stumbled');
    return this.trip();
  }

  @Task()
  async step(which: string): Promise<string> {
    return `${which} in ${this.owner}`;
  }

  @Task({ retries: 1 })
  async trip(): Promise<string> {
    if (currentRun().attempt === 1) throw new Error('tripped');
    return 'arrived';
  }
}

@Injectable()
class ShortWay extends LongWay {
  @Flow({ name: 'short way' })
  override async walk(): Promise<string[]> {
    return [await this.step('only')];
  }
}

describe('Around flows and tasks', () => {
  let database: TestDatabase;
  let app: NestFastifyApplication;
  let runs: FlowRuns;

  beforeAll(async () => {
    database = await testDatabase();
    const providers = [
      Ordered,
      Archive,
      ArchiveTour,
      Workshop,
      Impatient,
      ShortWay,
      { provide: OWNER, useValue: 'the only one' },
    ];
    const module = testModule({ url: database.url, providers, controllers: [ArchiveController] });
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
  beforeEach(() => (trace = []));

  const latest = async () => runs.get((await runs.list({ limit: 1 }))[0]!.id);
  const messageOfLatest = async (): Promise<string | null> => (await latest()).states.at(-1)!.message;

  describe.each(['flow', 'task'] as const)('of a %s', (method) => {
    it('come guard, interceptor, pipe, method, interceptor', async () => {
      expect(await app.get(Ordered)[method](null)).toBe('done');
      expect(trace).toEqual(['guard', 'interceptor', 'pipe', 'method', 'interceptor']);
    });

    it('comes the filter last when it fails', async () => {
      await expect(app.get(Ordered)[method]('broken')).rejects.toThrow(RangeError);
      expect(trace).toEqual(['guard', 'interceptor', 'pipe', 'method', 'interceptor', 'filter']);
    });
  });

  describe('a guard', () => {
    it('that refuses fails the attempt with ForbiddenException, and is asked again by the next one', async () => {
      RolesGuard.role = 'reader';
      await expect(app.get(Archive).publish()).rejects.toThrow(ForbiddenException);
      expect(trace).toEqual(['guard of Archive.publish', 'guard of Archive.publish']);
      const { states } = await latest();
      expect(states.map(({ name }) => name)).toEqual(['Pending', 'Running', 'AwaitingRetry', 'Running', 'Failed']);
      expect(await messageOfLatest()).toBe('ForbiddenException: Forbidden resource');
    });

    it('that lets in finds the metadata of decorators above, below and on the class', async () => {
      RolesGuard.role = 'editor';
      expect(await app.get(Archive).publish()).toBe('published');
      RolesGuard.role = 'reader';
      expect(await app.get(Archive).read()).toBe('read');
      RolesGuard.role = 'anybody';
      expect(await app.get(Archive).browse()).toBe('browsed');
    });

    it('that refuses a task gives its flow the error as it was, with its status', async () => {
      RolesGuard.role = 'reader';
      const { id, refusal } = await app.get(ArchiveTour).shred();
      expect(refusal).toEqual([true, 403, 'Forbidden resource']);
      expect(await taskRunsOf(database, id)).toMatchObject([{ task_key: 'Archive.shred', state_name: 'Failed' }]);
    });

    it('that refuses a task outside any flow refuses the request that called it', async () => {
      RolesGuard.role = 'reader';
      const response = await app.inject({ method: 'GET', url: '/shred' });
      expect(response.statusCode).toBe(403);
      expect(response.json()).toMatchObject({ message: 'Forbidden resource' });
    });

    it('of a base class holds for its subclasses', async () => {
      await app.get(ShortWay).walk();
      expect(trace).toEqual(['walk in the only one', 'step only in the only one']);
    });
  });

  it('a method is not called for an attempt that has ended meanwhile', async () => {
    gate = new Gate();
    const call = app.get(Impatient).act();
    await gate.reached;
    await expect(call).rejects.toMatchObject({ code: 'RUN_TIMED_OUT' });
    gate.open();
    await app.get(Ordered).task(null); // takes longer than the answer of the guard
    expect(trace).not.toContain('acted');
  });

  it('the code of a guard is code of the run: what it calls is a part of that', async () => {
    const id = await app.get(Workshop).inquired();
    expect(await taskRunsOf(database, id)).toMatchObject([{ task_key: 'Ordered.task', result: 'done' }]);
  });

  it('what is on a method of a controller belongs to its requests alone', async () => {
    expect((await app.inject({ method: 'GET', url: '/visit' })).payload).toBe('visited');
    expect(trace).toEqual(['guard', 'interceptor', 'method', 'interceptor']);
    trace = [];
    expect(await (await app.get(Flows).start(ArchiveController, 'visit')).result()).toBe('visited');
    expect(trace).toEqual(['method']);
  });

  it('an interceptor gives what is recorded, and knows the run', async () => {
    const { id, enveloped } = await app.get(Workshop).enveloped();
    const [task] = await taskRunsOf(database, id);
    expect(enveloped).toEqual({ type: 'nestor', args: ['a', 2], taskRunId: task!.id, content: 2 });
    expect(task!.result).toEqual(enveloped);
  });

  it('an interceptor that gives several values gives the last', async () => {
    expect(await app.get(Workshop).count()).toBe(1);
    expect(await latest()).toMatchObject({ flowName: 'Workshop.count', stateType: 'COMPLETED', runCount: 1 });
  });

  describe('a filter', () => {
    it('that returns something makes that the result', async () => {
      expect(await app.get(Workshop).find('needle')).toBe('nestor: no needle, look elsewhere');
      expect(await latest()).toMatchObject({ stateType: 'COMPLETED' });
    });

    it('that throws makes that the error', async () => {
      await expect(app.get(Workshop).find('hay')).rejects.toThrow(new BadRequestException('too much of it'));
      expect(await messageOfLatest()).toBe('BadRequestException: too much of it');
    });

    it('of other errors leaves an error as it is', async () => {
      await expect(app.get(Workshop).find('nothing')).rejects.toThrow(new TypeError('what?'));
    });
  });

  describe('a pipe', () => {
    it('gets every argument, and not more than there are', async () => {
      Upper.seen = [];
      expect(await app.get(Workshop).shout('a', 'b', 'c')).toEqual(['A', 'B', 'C']);
      expect(await app.get(Workshop).shout('a')).toEqual(['A']);
      expect(Upper.seen.map(({ type, data }) => [type, data])).toEqual([
        ...[
          ['body', '0'],
          ['body', '1'],
          ['body', '2'],
        ],
        ['body', undefined],
      ]);
      expect(Upper.seen[0]!.metatype).toBe(String);
    });

    it('changes what the method gets and not what is recorded', async () => {
      expect(await app.get(Workshop).double('21' as unknown as number)).toBe(42);
      await app.get(Workshop).shout('quiet');
      expect(await latest()).toMatchObject({ parameters: { 0: 'quiet' } });
    });

    it('validates by the class of the parameter', async () => {
      expect(await app.get(Workshop).measure({ metres: 3 } as Measure)).toBe('3 m');
      const refused = app.get(Workshop).measure({ metres: 0 } as Measure);
      await expect(refused).rejects.toThrow(BadRequestException);
      await expect(refused).rejects.toMatchObject({ response: { message: ['metres must not be less than 1'] } });
    });
  });

  it('enhancers are applied once per attempt of flow and task', async () => {
    expect(await app.get(ShortWay).stumble()).toBe('arrived');
    const by = 'in the only one';
    expect(trace).toEqual([`stumble ${by}`, `step one ${by}`, `stumble ${by}`, `trip ${by}`, `trip ${by}`]);
  });

  it('enhancers are not applied to calls that are replayed', async () => {
    gate = new Gate();
    const relay = new Relay(database);
    const start = (owner: string) =>
      relay.start(owner, undefined, { providers: [LongWay, { provide: OWNER, useValue: owner }] });
    try {
      const first = await start('first');
      const { id } = await first.get(Flows).start(LongWay, 'walk');
      await gate.reached;
      await first.die();
      const second = await start('second');
      expect(await second.result(id)).toEqual(['one in first', 'two in second']);
      expect(trace).toEqual(['walk in first', 'step one in first', 'walk in second', 'step two in second']);
    } finally {
      gate.open();
      await relay.close();
    }
  });
});

class Nobody implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Injectable()
class Hidden {
  @UseGuards(Nobody)
  @Flow()
  async flow(): Promise<void> {}
}

@Injectable()
class HiddenAsWell {
  @UseGuards(new Nobody())
  @Flow()
  async flow(): Promise<void> {}
}

describe('Applications', () => {
  let database: TestDatabase;

  beforeAll(async () => (database = await testDatabase()));
  afterAll(() => database.drop());

  it('keep what is registered for all requests from flows and tasks', async () => {
    const refused = (): never => {
      throw new Error('It was applied.');
    };
    const global = { canActivate: refused, intercept: refused, transform: refused, catch: () => 'caught' };
    const app = await startApp({
      url: database.url,
      providers: [
        ...[Workshop, Ordered],
        ...[APP_GUARD, APP_INTERCEPTOR, APP_PIPE, APP_FILTER].map((provide) => ({ provide, useValue: global })),
      ],
    });
    expect(await app.get(Workshop).shout('a')).toEqual(['A']);
    await expect(app.get(Workshop).find('nothing')).rejects.toThrow(TypeError);
    await app.close();
  });

  it('do not start with a guard that would be left out', async () => {
    const start = startApp({ url: database.url, providers: [{ provide: Hidden, useFactory: () => new Hidden() }] });
    await expect(start).rejects.toMatchObject({
      code: 'ENHANCER_NOT_APPLIED',
      message: expect.stringMatching(/^Nobody would not be applied to Hidden\.flow: .* new Nobody\(…\)\.$/),
    });
  });

  it('apply instances of guards to whatever there is', async () => {
    const hidden = { provide: HiddenAsWell, useFactory: () => new HiddenAsWell() };
    const app = await startApp({ url: database.url, providers: [hidden] });
    await expect(app.get(HiddenAsWell).flow()).rejects.toThrow(ForbiddenException);
    await app.close();
  });

  it('apply guards to classes that are provided under a token', async () => {
    const app = await startApp({ url: database.url, providers: [{ provide: 'hidden', useClass: Hidden }] });
    await expect(app.get<Hidden>('hidden').flow()).rejects.toThrow(ForbiddenException);
    await app.close();
  });

  it('may have guards replaced in tests', async () => {
    const testing = await Test.createTestingModule({
      imports: [testModule({ url: database.url, providers: [Hidden] })],
    })
      .overrideGuard(Nobody)
      .useValue({ canActivate: () => true })
      .setLogger(new RecordingLogger())
      .compile();
    await testing.init();
    expect(await testing.get(Hidden).flow()).toBeUndefined();
    await testing.close();
  });
});

import { Inject, Injectable, Scope, type INestApplicationContext } from '@nestjs/common';
import {
  cancelledState,
  currentRun,
  Flow,
  FlowRuns,
  Flows,
  InvalidOptionError,
  NoCurrentRunError,
  RunCancelledError,
  RunControl,
  Task,
  transaction,
  type CompletionContext,
  type FailureContext,
  type HookContext,
} from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { Journal } from '../../../libs/orchestrator/src/runtime/transitions/journal.js';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { Gate } from '../../support/gate.js';
import { illegalHistories, stateNames, taskRunsOf } from '../../support/history.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { sql } from '../../support/sql.js';
import { waitFor } from '../../support/wait-for.js';

/** What was called, in order, and what it was told. */
@Injectable()
class Notes {
  readonly lines: string[] = [];
  readonly contexts: HookContext[] = [];

  add(line: string, context: HookContext): void {
    this.lines.push(line);
    this.contexts.push(context);
  }
}

/** For functions, into which nothing is injected. */
let notes: Notes;
const note =
  (name: string) =>
  (context: HookContext): void =>
    notes.add(`${name} ${context.state.name}`, context);
const noteLater =
  (name: string) =>
  async (context: HookContext): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    notes.add(`${name} ${context.state.name}`, context);
  };
const fail = (): never => {
  throw new Error('The hook is broken.');
};
const everyState = {
  onRunning: note('begins'),
  onCompletion: note('completes'),
  onFailure: note('fails'),
} as const;

@Injectable()
class Shop {
  code: (...args: any[]) => Promise<any> = async () => 'done';

  constructor(private readonly notes: Notes) {}

  @Flow({ ...everyState, onCancellation: note('is cancelled'), onCrashed: note('crashes') })
  async flow(...args: unknown[]): Promise<unknown> {
    return this.code(...args);
  }

  @Task(everyState)
  async task(...args: unknown[]): Promise<unknown> {
    return this.code(...args);
  }

  @Flow({ ...everyState, retries: 1 })
  async flowTwice(): Promise<unknown> {
    return this.code();
  }

  @Task({ ...everyState, retries: 1, recordStart: true })
  async taskTwice(): Promise<unknown> {
    return this.code();
  }

  @Flow({
    onRunning: [noteLater('one'), note('two')],
    onCompletion: [noteLater('one'), 'byName', fail, 'brokenByName', note('four')],
    onFailure: [noteLater('one'), note('two')],
  })
  async flowWithLists(): Promise<unknown> {
    return this.code();
  }

  @Task({
    onRunning: [noteLater('one'), note('two')],
    onCompletion: [noteLater('one'), 'byName', fail, 'brokenByName', note('four')],
    onFailure: [noteLater('one'), note('two')],
  })
  async taskWithLists(): Promise<unknown> {
    return this.code();
  }

  @Flow({ onCompletion: 'callTask' })
  async flowThenTask(): Promise<void> {}

  @Task({ onCompletion: 'callUndoable' })
  async taskThenUndoable(): Promise<void> {}

  @Task({ onRollback: () => notes.lines.push('taken back') })
  async undoable(): Promise<string> {
    return 'undoable';
  }

  @Flow()
  async around(code: string): Promise<unknown> {
    return code === 'task' ? this.task({ id: 7 }, () => 'no form') : this.code();
  }

  byName(context: HookContext): void {
    this.notes.add(`by name ${context.state.name}`, context);
  }

  async brokenByName(): Promise<void> {
    throw new Error('The method is broken.');
  }

  async callUndoable(): Promise<void> {
    notes.lines.push(await this.undoable());
  }

  /** A hook is no part of the run, nor is what it calls. */
  async callTask(context: HookContext): Promise<void> {
    expect(() => currentRun()).toThrow(NoCurrentRunError);
    await this.task('from the hook');
    context.logger.warn('The hook says so.');
  }
}

/** The application's own tenant, of which a class has one per instance. */
@Injectable({ scope: Scope.TRANSIENT })
class Scoped {
  seen: object | null = null;

  constructor(@Inject(Notes) private readonly notes: Notes) {}

  @Flow({ onCompletion: 'done' })
  async scoped(): Promise<void> {
    this.seen = this;
  }

  done(context: CompletionContext): void {
    this.notes.add(this.seen === this ? 'the same instance' : 'another instance', context);
  }
}

describe('hooks', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let shop: Shop;
  let logger: RecordingLogger;

  beforeAll(async () => {
    database = await testDatabase();
    logger = new RecordingLogger();
    app = await startApp({ url: database.url, providers: [Shop, Notes, Scoped], logger });
    shop = app.get(Shop);
    notes = app.get(Notes);
  });
  beforeEach(() => {
    shop.code = async () => 'done';
    notes.lines.splice(0);
    notes.contexts.splice(0);
  });
  afterAll(async () => {
    await app.close();
    expect(await illegalHistories(database, { forced })).toEqual([]);
    await database.drop();
  });
  const forced: string[] = [];

  const owed = (): Promise<unknown[]> => sql(database, 'select * from nestor.owed_hooks');
  const failOnce = (): void => {
    let attempts = 0;
    shop.code = async () => {
      attempts += 1;
      if (attempts === 1) throw new Error('no luck');
      return 'done';
    };
  };

  describe('are called in the order of their list, one after the other, before the call settles', () => {
    it.each([
      ['flow [F10]', () => shop.flowWithLists()],
      ['task [T19]', () => shop.taskWithLists()],
    ])('of a %s', async (_, call) => {
      shop.code = async () => notes.lines.push('the method');
      await call();
      expect(notes.lines).toEqual([
        ...['one Running', 'two Running', 'the method'],
        ...['one Completed', 'by name Completed', 'four Completed'],
      ]);

      notes.lines.splice(0);
      shop.code = () => Promise.reject(new Error('no luck'));
      await expect(call()).rejects.toThrow('no luck');
      expect(notes.lines).toEqual(['one Running', 'two Running', 'one Failed', 'two Failed']);
    });
  });

  describe('are called for each state', () => {
    it.each([
      ['flow', () => shop.flow()],
      ['task', () => shop.task()],
    ])('that a %s enters by itself [F10] [T19]', async (_, call) => {
      await call();
      expect(notes.lines).toEqual(['begins Running', 'completes Completed']);
    });

    it('CANCELLED: of a run that somebody cancelled, once its method has settled [F10]', async () => {
      const gate = new Gate();
      shop.code = async () => {
        await gate.pass();
        notes.lines.push('the method has settled');
      };
      const { id } = await app.get(Flows).start(Shop, 'flow');
      await gate.reached;
      await app.get(RunControl).cancel(id);
      gate.open();
      await expect(app.get(FlowRuns).result(id)).rejects.toThrow(RunCancelledError);
      expect(notes.lines).toEqual(['begins Running', 'the method has settled', 'is cancelled Cancelled']);
    });

    it('CANCELLED: of a run whose method says so [F10]', async () => {
      shop.code = async () => cancelledState({ message: 'not today' });
      await expect(shop.flow()).rejects.toThrow(RunCancelledError);
      expect(notes.lines).toEqual(['begins Running', 'is cancelled Cancelled']);
      expect(notes.contexts[1]!.state.message).toBe('not today');
    });

    it.each([
      ['COMPLETED', 'completes Completed'],
      ['FAILED', 'fails Failed'],
      ['CANCELLED', 'is cancelled Cancelled'],
      ['CRASHED', 'crashes Crashed'],
    ] as const)('%s: of a run that somebody set to it [F10]', async (type, line) => {
      const gate = new Gate();
      shop.code = () => gate.pass();
      const { id } = await app.get(Flows).start(Shop, 'flow');
      await gate.reached;
      await app.get(Journal).settled();
      forced.push(id);
      await app.get(RunControl).setState(id, { type, message: 'by hand' });
      await waitFor(() => notes.lines.length > 1);
      gate.open();
      await app
        .get(FlowRuns)
        .result(id)
        .catch((error: unknown) => error);
      expect(notes.lines).toEqual(['begins Running', line]);
      expect(notes.contexts[1]).toMatchObject({ state: { message: 'by hand' }, run: { id } });
    });
  });

  it.each([
    ['flow', () => shop.flowTwice()],
    ['task', () => shop.taskTwice()],
  ])(
    'are not called for a failure of a %s that is tried again; its next attempt begins anew [F10] [T19]',
    async (_, call) => {
      failOnce();
      await call();
      expect(notes.lines).toEqual(['begins Running', expect.stringMatching(/^begins /), 'completes Completed']);
      expect(notes.contexts.map(({ run }) => run.attempt)).toEqual([1, 2, 2]);

      notes.lines.splice(0);
      shop.code = () => Promise.reject(new Error('no luck'));
      await expect(call()).rejects.toThrow('no luck');
      expect(notes.lines).toEqual(['begins Running', expect.stringMatching(/^begins /), 'fails Failed']);
    },
  );

  it('that are broken are logged with the run, and change nothing [F10] [T19]', async () => {
    const { id } = await app.get(Flows).start(Shop, 'flowWithLists');
    expect(await app.get(FlowRuns).result(id)).toBe('done');
    expect(await stateNames(database, id)).toEqual(['Pending', 'Running', 'Completed']);
    const lines = (): Promise<{ message: string; level: number }[]> =>
      sql(database, 'select message, level from nestor.log where flow_run_id = $1 order by timestamp', [id]);
    await waitFor(async () => (await lines()).length === 2);
    expect(await lines()).toEqual([
      { level: 40, message: expect.stringMatching(/^Hook onCompletion: fail failed, .* The hook is broken/s) },
      {
        level: 40,
        message: expect.stringMatching(/^Hook onCompletion: brokenByName failed, .* The method is broken/s),
      },
    ]);
  });

  describe('are told', () => {
    it('of a flow: the run, its arguments, its result', async () => {
      const shipped = new Date();
      shop.code = async () => ({ shipped });
      const { id } = await app
        .get(Flows)
        .with({ name: 'the run', tags: ['a'] })
        .start(Shop, 'flow', { id: 1 }, 2);
      await app.get(FlowRuns).result(id);
      const run = { kind: 'flow-run', id, name: 'the run', flowRunId: id, taskRunId: null, flowName: 'Shop.flow' };
      expect(notes.contexts).toEqual([
        expect.objectContaining({ run: { ...run, tags: ['a'], attempt: 1 }, args: [{ id: 1 }, 2] }),
        expect.objectContaining({
          run: { ...run, tags: ['a'], attempt: 1 },
          args: [{ id: 1 }, 2],
          state: expect.objectContaining({ type: 'COMPLETED' }),
          result: { shipped },
        }),
      ]);
    });

    it('of a task: the run, those of its arguments that have a form, its result', async () => {
      shop.code = async () => 5;
      const { id } = await app.get(Flows).start(Shop, 'around', 'task');
      expect(await app.get(FlowRuns).result(id)).toBe(5);
      const [task] = await taskRunsOf(database, id);
      expect(notes.contexts[1]).toMatchObject({
        run: { kind: 'task-run', id: task!.id, name: task!.name, flowRunId: id, taskRunId: task!.id, taskName: 'task' },
        args: [{ id: 7 }, undefined],
        result: 5,
      });
    });

    it('of a failure: the error, as it was recorded', async () => {
      class Declined extends TypeError {}
      shop.code = () => Promise.reject(new Declined('declined'));
      await expect(shop.task(1)).rejects.toThrow('declined');
      const { error } = notes.contexts[1] as FailureContext;
      expect(error).toMatchObject({ message: 'declined' });
    });
  });

  it('named by method have the instance that the run is executed on, and what is injected into it [F10]', async () => {
    await (await app.resolve(Scoped)).scoped();
    expect(notes.lines).toEqual(['the same instance']);
  });

  it('are no part of the run: what they call is a run of its own, and their logger logs to the run', async () => {
    const { id } = await app.get(Flows).start(Shop, 'flowThenTask');
    await app.get(FlowRuns).result(id);
    expect(notes.contexts[0]).toMatchObject({ run: { kind: 'task-run', flowRunId: null }, args: ['from the hook'] });
    expect(await taskRunsOf(database, id)).toEqual([]);
    const lines = (): Promise<unknown[]> =>
      sql(database, 'select message, level from nestor.log where flow_run_id = $1', [id]);
    await waitFor(async () => (await lines()).length > 0);
    expect(await lines()).toEqual([{ level: 30, message: 'The hook says so.' }]);
  });

  it('are no part of a transaction around their run', async () => {
    shop.code = () =>
      transaction(async () => {
        await shop.taskThenUndoable();
        throw new Error('no luck');
      });
    await expect(shop.flow()).rejects.toThrow('no luck');
    expect(notes.lines).toEqual(['begins Running', 'undoable', 'fails Failed']);
  });

  it('leave nothing owed once they have been called', async () => {
    await Promise.all([shop.flow(), shop.task(), shop.flowWithLists()]);
    await waitFor(async () => (await owed()).length === 0);
  });

  it.each([
    ['an unknown method', { onFailure: 'nothing' }, 'onFailure', /names "nothing", which is no method of Mistaken/],
    ['a getter', { onCompletion: ['getter'] }, 'onCompletion', /names "getter", which is no method/],
    ['the constructor', { onRunning: 'constructor' }, 'onRunning', /names "constructor", which is no method/],
    ['no function', { onCrashed: [() => 1, 5] }, 'onCrashed', /neither a function nor the name of a method/],
  ])('that name %s are refused at start-up', async (_, options, option, message) => {
    class Mistaken {
      @Flow(options as object)
      async flow(): Promise<void> {}

      get getter(): never {
        throw new Error('A getter was executed.');
      }
    }
    const starting = startApp({ url: database.url, providers: [Mistaken] });
    await expect(starting).rejects.toThrow(InvalidOptionError);
    await expect(starting).rejects.toMatchObject({
      place: 'Mistaken.flow',
      option,
      message: expect.stringMatching(message),
    });
  });
});

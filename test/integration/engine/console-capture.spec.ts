import { Injectable, type INestApplicationContext } from '@nestjs/common';
import { currentRun, Flow, FlowRuns, Task, withOptions } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { RecordingLogger } from '../../support/recording-logger.js';
import { waitFor } from '../../support/wait-for.js';

@Injectable()
class Printer {
  runId = '';
  body: () => Promise<unknown> = async () => undefined;

  @Flow({ captureConsole: true })
  async loud(): Promise<void> {
    await this.perform();
  }

  @Flow()
  async plain(): Promise<void> {
    await this.perform();
  }

  @Flow()
  async part(): Promise<void> {
    console.log('part');
  }

  @Task()
  async step(): Promise<void> {
    console.log('step');
  }

  @Task({ captureConsole: false })
  async quietStep(): Promise<void> {
    console.log('printed by the quiet step');
    await this.step();
  }

  @Task({ captureConsole: true })
  async loudStep(): Promise<void> {
    console.log('loud step');
  }

  private async perform(): Promise<void> {
    this.runId = currentRun().flowRunId!;
    await this.body();
  }
}

/** Prints what it is given, now and a moment later. */
const printingLogger = (): RecordingLogger =>
  Object.assign(new RecordingLogger(), {
    log(message: unknown): void {
      console.info(`logger: ${String(message)}`);
      queueMicrotask(() => console.info(`logger, later: ${String(message)}`));
    },
  });

describe('what a run prints to the console', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let printer: Printer;
  let printed: string[] = [];
  const theirs = { ...console };

  beforeAll(async () => {
    const print = (...values: unknown[]): number => printed.push(values.join(' '));
    Object.assign(console, { log: print, info: print, debug: print, warn: print, error: print, trace: print });
    database = await testDatabase();
    app = await startApp({ url: database.url, providers: [Printer], logger: printingLogger() });
    printer = app.get(Printer);
  });
  afterAll(async () => {
    await app.close();
    Object.assign(console, theirs);
    await database.drop();
  });
  beforeEach(() => (printed = []));

  const play = (flow: 'loud' | 'plain', body: () => Promise<unknown>): Promise<void> => {
    printer.body = body;
    return printer[flow]();
  };
  const linesOf = async (count: number) => {
    const lines = await waitFor(async () => {
      const all = await app.get(FlowRuns).logsOf(printer.runId);
      return all.length >= count && all;
    });
    return lines.map(({ level, message, name }) => [level, message, name.replace(/-\w{3}$/, '')]);
  };

  it('is in its log in place of the console, by its level, where that is asked for [F16]', async () => {
    await play('loud', async () => {
      console.log('%d of %s', 3, 'them', { deep: true });
      console.info('info');
      console.debug('debug');
      console.warn('warn');
      console.error(new RangeError('too far'));
    });
    const lines = await linesOf(5);
    expect(lines.map(([level]) => level)).toEqual([20, 20, 10, 30, 40]);
    expect(lines.slice(0, 4).map(([, message]) => message)).toEqual([
      '3 of them { deep: true }',
      'info',
      'debug',
      'warn',
    ]);
    expect(lines[4]![1]).toMatch(/^RangeError: too far\n\s+at /);
    expect(printed.filter((line) => !line.startsWith('logger'))).toEqual([]);
  });

  it('is captured in what it calls as well, unless that says otherwise [F16]', async () => {
    await play('loud', async () => {
      await printer.step();
      await printer.part();
      await printer.quietStep();
      await withOptions(printer, { captureConsole: true }).quietStep();
    });
    expect(await linesOf(3)).toEqual([
      [20, 'step', 'step'],
      [20, 'printed by the quiet step', 'quietStep'],
      [20, 'step', 'step'],
    ]);
    expect(printed.filter((line) => !line.startsWith('logger'))).toEqual(['printed by the quiet step', 'step']);
  });

  it('stays on the console of everything else, also beside a task that captures it [F16]', async () => {
    await play('plain', async () => {
      console.log('before');
      await printer.loudStep();
      console.log('after');
    });
    console.log('outside');
    expect(await linesOf(1)).toEqual([[20, 'loud step', 'loudStep']]);
    expect(printed.filter((line) => !line.startsWith('logger'))).toEqual(['before', 'after', 'outside']);
  });

  it('is captured once, though the logger prints what it is given', async () => {
    await play('loud', async () => console.log('once'));
    expect(await linesOf(1)).toHaveLength(1);
    expect(printed.filter((line) => line.endsWith('once'))).toHaveLength(2);
  });
});

import { writeFileSync } from 'node:fs';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { currentRun, Flow, FlowRuns, Flows, mapTasks, OrchestratorModule, Task } from '@nestor/orchestrator';
import type { DataSource } from 'typeorm';
import { ORCHESTRATOR_DATA_SOURCE } from '../../../libs/orchestrator/src/persistence/tokens.js';

/** A program that uses everything once, closes its application when it is told to, and then has nothing left to do. */
const [home = '', report = ''] = process.argv.slice(2);

@Injectable()
class Everything {
  @Flow({ timeout: '1h', retries: 1 })
  async run(): Promise<number> {
    currentRun().logger.log(`attempt ${currentRun().attempt}`);
    if (currentRun().attempt === 1) throw new Error('once');
    void this.never(); // forgotten, and cut off with the run
    const doubled = await mapTasks([1, 2, 3, 4], (n) => this.double(n), { concurrency: 2 });
    return doubled.reduce((sum, n) => sum + n, await this.child());
  }

  @Flow()
  async child(): Promise<number> {
    return this.double(1);
  }

  @Flow()
  async endless(): Promise<void> {
    await this.never();
  }

  @Task({ timeout: '1h', retries: 2, retryDelay: '1ms' })
  async double(n: number): Promise<number> {
    return n * 2;
  }

  @Task()
  async never(): Promise<void> {
    return new Promise(() => undefined);
  }
}

@Module({ imports: [OrchestratorModule.forRoot({ database: { home }, drain: '100ms' })], providers: [Everything] })
class App {}

async function main(): Promise<void> {
  const app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
  const results = [
    await app.get(Everything).run(),
    await (await app.get(Flows).start(Everything, 'child')).result(),
    (await app.get(FlowRuns).list()).length,
  ];
  await app.get(Flows).start(Everything, 'endless');
  const { host, port, username, password, database } = app.get<DataSource>(ORCHESTRATOR_DATA_SOURCE, { strict: false })
    .options as { host?: string; port?: number; username?: string; password?: string; database?: string };
  process.send?.({ results, server: { host, port, user: username, password, database } });
  process.once('message', () => {
    // After the channel to the test is gone, what is still active would be ours. Node lists a handle that was closed until
    // the end of the turn, so the next one counts.
    process.once('disconnect', () => setImmediate(() => setImmediate(reportActive)));
    void app.close().then(() => process.disconnect());
  });
}

function reportActive(): void {
  writeFileSync(report, JSON.stringify(process.getActiveResourcesInfo()));
}

void main();

/**
 * Put into a host beside what the quickstart has made of it, and started after that: looks at the runs that are there,
 * and at what the package gives a host of this kind to import.
 */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { ForbiddenException, Injectable, Module, UseGuards, type CanActivate } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as nestor from 'nestor';
import { currentRun, Flow, FlowRuns, mapTasks, NoCurrentRunError, OrchestratorModule, StateType, Task } from 'nestor';
import type { CurrentRun, Duration, FlowOptions, FlowRunView, OrchestratorOptions } from 'nestor';
import { createTestingOrchestrator, createTestDatabase, nestorMatchers, type TestDatabase } from 'nestor/testing';
import { AppModule } from './app.module.js';

export type Nameable = [CurrentRun, Duration, FlowOptions, FlowRunView, OrchestratorOptions];

/** What the types promise where decorators are applied; compiled, never called. */
export class Decorated {
  @Flow({ name: 'decorated', retries: 1, timeout: '10m' })
  async flow(sizes: number[]): Promise<string[]> {
    return mapTasks(sizes, (size) => this.task(size), { concurrency: 2 });
  }

  @Task()
  async task(size: number): Promise<string> {
    return String(size);
  }

  // @ts-expect-error a run cannot be recorded without waiting for it
  @Task()
  synchronous(): number {
    return 1;
  }
}

@Injectable()
class Closed implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

/** What this Nest puts around a flow. */
@Injectable()
class Vault {
  @UseGuards(Closed)
  @Flow()
  async open(): Promise<string> {
    return 'open';
  }
}

@Module({ imports: [OrchestratorModule.forRoot({ app: 'vault' })], providers: [Vault] })
class VaultModule {}

async function probe(): Promise<void> {
  for (const value of [currentRun, Flow, FlowRuns, mapTasks, OrchestratorModule, Task, createTestDatabase]) {
    assert.equal(typeof value, 'function');
  }
  assert.throws(() => currentRun(), NoCurrentRunError);

  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'], abortOnError: false });
  const flowRuns = app.get(FlowRuns);
  const runs: FlowRunView[] = await flowRuns.list();
  assert.ok(runs.length > 0, 'the quickstart has left no flow run');
  for (const run of runs) {
    assert.equal(run.stateType, StateType.Completed, `flow run ${run.flowName}`);
    const taskRuns = await flowRuns.taskRunsOf(run.id);
    assert.ok(taskRuns.length > 0, `flow run ${run.flowName} has no task run`);
    for (const taskRun of taskRuns) assert.equal(taskRun.stateType, StateType.Completed, `task run ${taskRun.name}`);
  }

  const vault = await NestFactory.createApplicationContext(VaultModule, { logger: ['warn'], abortOnError: false });
  await assert.rejects(vault.get(Vault).open(), ForbiddenException);
  await vault.close();

  const database: TestDatabase = await createTestDatabase({ home: '.nestor' }); // the server that runs already
  const nestor = await createTestingOrchestrator({ database, logger: ['error', 'warn'] });
  await nestor.clock.advance('30d');
  await nestor.close();
  await database.drop();
  assert.equal(typeof nestorMatchers.toHaveCompleted, 'function');
  await app.close();

  loadedOnce();
}

/** By `import` and by `require` one gets the same objects, and no file comes from a second copy. */
function loadedOnce(): void {
  const require = createRequire(join(process.cwd(), 'package.json'));
  const required = require('nestor') as typeof nestor;
  for (const name of Object.keys(required) as (keyof typeof nestor)[]) {
    assert.equal(nestor[name], required[name], `"${name}" is another one by import than by require`);
  }
  const roots = Object.keys(require.cache).flatMap((path) => /^.*[\\/]nestor(?=[\\/]dist[\\/])/.exec(path) ?? []);
  assert.equal(new Set(roots).size, 1, `loaded from ${[...new Set(roots)].join(' and ')}`);
}

void probe();

import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OrchestratorModule } from '@nestor/orchestrator';
import { Chores, MARKS_URL } from './chores.js';

/** What the program is told. */
export interface ServingOrder {
  readonly url: string;
  readonly app: string;
  readonly concurrency: number;
  /** After how many tasks it executes on and on, without an end of any. */
  readonly stuckAfter: number;
}

async function run({ url, app, concurrency, stuckAfter }: ServingOrder): Promise<void> {
  @Module({
    imports: [OrchestratorModule.forRoot({ database: { url }, app, backgroundTasks: { concurrency } })],
    providers: [Chores, { provide: MARKS_URL, useValue: url }],
  })
  class App {}
  const context = await NestFactory.createApplicationContext(App, { logger: false });
  let executed = 0;
  context.get(Chores).afterwards = async () => {
    executed += 1;
    if (executed < stuckAfter) return;
    if (executed === stuckAfter + concurrency - 1) process.send?.('waiting');
    await new Promise(() => undefined);
  };
}

process.on('message', (order: ServingOrder) => void run(order));

import 'reflect-metadata';
import { setTimeout as pause } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ConcurrencyLimits, OrchestratorModule } from '@nestor/orchestrator';

/** What the program is told. */
export interface AcquiringOrder {
  readonly url: string;
  readonly app: string;
  readonly limit: string;
  /** How many parts of it ask for slots, again and again. */
  readonly acquirers: number;
}

async function run({ url, app, limit, acquirers }: AcquiringOrder): Promise<void> {
  @Module({ imports: [OrchestratorModule.forRoot({ database: { url }, app })] })
  class App {}
  const context = await NestFactory.createApplicationContext(App, { logger: false });
  const limits = context.get(ConcurrencyLimits);
  let acquired = 0;
  const acquireAgainAndAgain = async (): Promise<void> => {
    for (;;) {
      await limits.concurrency(limit, 1, () => pause(5));
      acquired += 1;
      if (acquired === acquirers) process.send?.('waiting');
    }
  };
  await Promise.all(Array.from({ length: acquirers }, acquireAgainAndAgain));
}

process.on('message', (order: AcquiringOrder) => void run(order));

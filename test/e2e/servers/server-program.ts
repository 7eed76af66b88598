import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Flows, OrchestratorModule } from '@nestor/orchestrator';
import { Pool } from 'pg';
import { MARKS, Walks } from './walks.js';

/** What a server is told. */
export interface ServerOrder {
  readonly url: string;
  /** The walks that it begins itself. */
  readonly walks: readonly string[];
}

async function run({ url, walks }: ServerOrder): Promise<void> {
  @Module({
    imports: [OrchestratorModule.forRoot({ database: { url }, app: 'walks' })],
    providers: [Walks, { provide: MARKS, useFactory: () => new Pool({ connectionString: url, max: 4 }) }],
  })
  class App {}
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  app.get(Walks).halfWay = () => process.send?.('waiting');
  process.send?.('up');
  const flows = app.get(Flows);
  await Promise.all(walks.map((name) => flows.start(Walks, 'walk', name)));
}

process.on('message', (order: ServerOrder) => void run(order));

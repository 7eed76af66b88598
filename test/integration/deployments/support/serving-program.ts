import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Flow, OrchestratorModule } from '@nestor/orchestrator';

/** What the program is told. */
export interface ServingOrder {
  readonly url: string;
  readonly app: string;
}

@Injectable()
class Served {
  @Flow({ name: 'served', deployments: [{ name: 'hourly', schedules: [{ interval: '1h' }] }] })
  async served(): Promise<void> {}
}

async function run({ url, app }: ServingOrder): Promise<void> {
  @Module({
    imports: [OrchestratorModule.forRoot({ database: { url }, app, pauseOnShutdown: true, drain: '10ms' })],
    providers: [Served],
  })
  class App {}
  const context = await NestFactory.createApplicationContext(App, { logger: false });
  context.enableShutdownHooks();
  process.send?.('waiting');
}

process.on('message', (order: ServingOrder) => void run(order));

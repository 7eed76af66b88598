import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { concurrency, Flow, OrchestratorModule, Task } from '@nestor/orchestrator';

/** What the program is told. */
export interface DeployedOrder {
  readonly url: string;
  readonly app: string;
}

@Injectable()
class Held {
  /** Holds a slot of its deployment, and within it one of code, one of a tag, and none of its own accord. */
  @Flow({ name: 'held' })
  async held(): Promise<string> {
    return this.hold();
  }

  @Task({ tags: ['held'] })
  async hold(): Promise<string> {
    return concurrency('held', async () => {
      process.send?.('waiting');
      return new Promise<string>(() => undefined);
    });
  }
}

async function run({ url, app }: DeployedOrder): Promise<void> {
  @Module({ imports: [OrchestratorModule.forRoot({ database: { url }, app })], providers: [Held] })
  class App {}
  await NestFactory.createApplicationContext(App, { logger: false });
}

process.on('message', (order: DeployedOrder) => void run(order));

import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DirectoryPayloadStore, Flow, OrchestratorModule, Task } from '@nestor/orchestrator';

/** Dies as soon as a payload is durable, before the row that would refer to it is written. */
class LastBreath extends DirectoryPayloadStore {
  override async put(key: string, bytes: Uint8Array): Promise<void> {
    await super.put(key, bytes);
    process.kill(process.pid, 'SIGKILL');
    await new Promise(() => undefined);
  }
}

@Injectable()
class Reports {
  @Flow({ name: 'report' })
  async report(): Promise<number> {
    return (await this.pages()).length;
  }

  @Task()
  async pages(): Promise<string> {
    return 'x'.repeat(100_000);
  }
}

async function main(url: string, directory: string): Promise<void> {
  const store = new LastBreath({ directory });
  @Module({ imports: [OrchestratorModule.forRoot({ database: { url }, payloads: { store } })], providers: [Reports] })
  class App {}
  const app = await NestFactory.createApplicationContext(App, { logger: false });
  await app.get(Reports).report();
}

const [, , url = '', directory = ''] = process.argv;
void main(url, directory);

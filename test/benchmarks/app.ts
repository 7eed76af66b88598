import { OrchestratorModule } from '@nestor/orchestrator';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BenchFlows } from './bench-flows.js';
import { Limit } from './limit.js';
import type { BenchServer } from './server.js';

/** What a workload works with: the flows of a running application, its database, and the limit there. */
interface Scene {
  readonly flows: BenchFlows;
  readonly url: string;
  readonly limit: Limit;
}

/** An application on a database of its own, both gone afterwards. */
export function withScene<T>(server: BenchServer, work: (scene: Scene) => Promise<T>): Promise<T> {
  return server.withDatabase((url) =>
    withApp(url, (flows) => Limit.withLimit(url, (limit) => work({ flows, url, limit }))),
  );
}

/** Everything but the place of the database is left at its default, as in most applications. */
async function withApp<T>(url: string, work: (flows: BenchFlows) => Promise<T>): Promise<T> {
  @Module({ imports: [OrchestratorModule.forRoot({ database: { url } })], providers: [BenchFlows] })
  class BenchModule {}

  const app = await NestFactory.createApplicationContext(BenchModule, {
    logger: ['fatal', 'error', 'warn'],
    abortOnError: false,
  });
  try {
    return await work(app.get(BenchFlows));
  } finally {
    await app.close();
  }
}

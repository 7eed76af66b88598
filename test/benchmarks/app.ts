import { OrchestratorModule, type OrchestratorOptions } from '@nestor/orchestrator';
import { Module, type INestApplicationContext, type Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { BenchFlows } from './bench-flows.js';
import { Limit } from './limit.js';
import type { BenchServer } from './server.js';

/** What a workload works with: the flows of a running application, its database, and the limit there. */
export interface Scene {
  readonly flows: BenchFlows;
  readonly url: string;
  readonly limit: Limit;
}

/**
 * An application on a database of its own, both gone afterwards.
 *
 * @param name for a second application in this process.
 */
export function withScene<T>(server: BenchServer, work: (scene: Scene) => Promise<T>, name?: string): Promise<T> {
  return server.withDatabase((url) =>
    withApp(url, (flows) => Limit.withLimit(url, (limit) => work({ flows, url, limit })), name),
  );
}

/** Everything but the place of the database is left at its default, as in most applications. */
export function withApp<T>(
  url: string,
  work: (flows: BenchFlows, app: INestApplicationContext) => Promise<T>,
  name?: string,
): Promise<T> {
  const options = { providers: [BenchFlows], ...(name !== undefined && { name }) };
  return withProviders(url, options, (app) => work(app.get(BenchFlows), app));
}

/** An application with these providers; what of the module is not named is left at its default. */
export async function withProviders<T>(
  url: string,
  { providers, ...options }: { readonly providers: Provider[] } & Omit<OrchestratorOptions, 'database'>,
  work: (app: INestApplicationContext) => Promise<T>,
): Promise<T> {
  @Module({ imports: [OrchestratorModule.forRoot({ ...options, database: { url } })], providers })
  class BenchModule {}

  const app = await NestFactory.createApplicationContext(BenchModule, {
    logger: ['fatal', 'error', 'warn'],
    abortOnError: false,
  });
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}

import { Module, type INestApplicationContext, type ModuleMetadata } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OrchestratorModule, type OrchestratorOptions } from '@nestor/orchestrator';
import { RecordingLogger } from './recording-logger.js';

export interface TestAppOptions extends Omit<OrchestratorOptions, 'database'>, ModuleMetadata {
  /** Which database; the one of the test file. */
  readonly url: string;
  readonly directUrl?: string;
  /** Default 3: a session costs the server several milliseconds, and few tests have more to do at a time. */
  readonly poolSize?: number;
  readonly logger?: RecordingLogger;
  /**
   * The application it belongs to; by default one of its own, so that several of them on one database leave each other's
   * runs alone. Those that are to take runs over from each other are given the same name.
   */
  readonly app?: string;
}

let apps = 0;

/** The module of an application with the given providers, on a database of a test. */
export function testModule({
  url,
  directUrl,
  poolSize = 3,
  imports = [],
  providers,
  controllers,
  ...options
}: TestAppOptions) {
  const { app = `test-${(apps += 1)}` } = options;
  const database = { url, poolSize, ...(directUrl !== undefined && { directUrl }) };
  @Module({
    imports: [OrchestratorModule.forRoot({ ...options, app, database }), ...imports],
    ...(providers && { providers }),
    ...(controllers && { controllers }),
  })
  class TestAppModule {}
  return TestAppModule;
}

/** Starts an application without HTTP. Whoever starts it closes it. */
export function startApp({
  logger = new RecordingLogger(),
  ...options
}: TestAppOptions): Promise<INestApplicationContext> {
  return NestFactory.createApplicationContext(testModule(options), { logger, abortOnError: false });
}

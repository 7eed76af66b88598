import type { DynamicModule, INestApplicationContext, LoggerService, LogLevel, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { startPassively } from './runtime/passive-start.js';
import { describeReport, type DeployReport } from './runtime/rehearsal/deploy-report.js';
import { DeployChecks } from './runtime/rehearsal/deploy-checks.service.js';

/** How a deploy check goes, and what it prints. */
export interface DeployCheckOptions {
  /** Takes the report for people, as one text. Default: it is printed. */
  readonly print?: (report: string) => unknown;
  /** How many runs are rehearsed at a time, 1 to 64. Default 4. */
  readonly concurrency?: number;
  /** As for `NestFactory`. Default: warnings and errors. */
  readonly logger?: LoggerService | LogLevel[] | false;
}

/**
 * Tries the code of an application on its runs in flight, before it is deployed: which of them would do something else
 * than they have done, and where. For the pipeline that deploys: run the new build against the database of the old one,
 * which goes on meanwhile.
 *
 * The application is started without listening. Of the orchestrator nothing happens: it joins no other processes, migrates
 * nothing, registers nothing, claims and sweeps nothing, calls no hooks, and its sessions are read-only. What your other
 * providers do when they start, and flows besides calling tasks, they do.
 *
 * @returns the report; `isSafe` says whether to deploy.
 * @throws {SchemaNotMigratedError} when the schema lacks migrations of this release: run `prepareDatabase()` first (of the
 * bundled orchestrator: `npm start -- migrate`), which old code does not mind.
 * @throws {EmbeddedPostgresNotCreatedError} when the database is the embedded one and there is none yet: none is made.
 * @throws what a start throws, such as the errors with codes `DATABASE_…`.
 *
 * @example
 * ```ts
 * deployCheck(AppModule).then(({ isSafe }) => process.exit(isSafe ? 0 : 1));
 * ```
 */
export async function deployCheck(
  module: Type | DynamicModule,
  {
    print = (report) => process.stdout.write(`${report}\n`),
    concurrency,
    logger = ['warn', 'error', 'fatal'],
  }: DeployCheckOptions = {},
): Promise<DeployReport> {
  return startPassively(async () => {
    const app: INestApplicationContext = await NestFactory.createApplicationContext(module as Type, {
      abortOnError: false,
      logger,
    });
    try {
      const report = await app.get(DeployChecks).check(concurrency === undefined ? {} : { concurrency });
      print(describeReport(report));
      return report;
    } finally {
      await app.close();
    }
  });
}

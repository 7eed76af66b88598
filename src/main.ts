import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { readEnvironment, type Settings } from './config/environment.js';
import { announceEnd, startFirstAudit } from './examples/dependency-audit/first-audit.js';
import { exitWith } from './exit.js';
import { listen } from './listen.js';
import { QuietNestLogger } from './quiet-nest.logger.js';
import { runOnce } from './run-once.js';
import { aborted, stopSignal } from './stop-signal.js';

async function main(): Promise<void> {
  const stop = stopSignal();
  const settings = readEnvironment();
  if (settings.runsOnce) return runOnce(settings, stop);
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(settings), new FastifyAdapter(), {
    abortOnError: false,
    forceCloseConnections: true, // a client that never ends its request must not hold up a shutdown
    logger: new QuietNestLogger(['log', 'warn', 'error', 'fatal']),
  });
  try {
    if (stop.aborted) return;
    await serve(app, settings, stop);
    await aborted(stop);
  } finally {
    await app.close(); // or the embedded server would stay behind
  }
}

async function serve(app: NestFastifyApplication, settings: Settings, stop: AbortSignal): Promise<void> {
  const logger = new Logger('Nestor');
  app.setGlobalPrefix('api');
  const url = await listen(app, settings.host, settings.port);
  const audit = await startFirstAudit(app, settings.home);
  logger.log(`Ready in ${Math.round(process.uptime() * 1_000)} ms: ${url}/api/flow_runs lists the runs.`);
  if (!audit) return;
  logger.log(`A first flow is running: ${url}/api/flow_runs/${audit.run.id}`);
  void announceEnd(app, audit, logger, stop);
}

main().catch(exitWith);

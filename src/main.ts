import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { readEnvironment } from './config/environment.js';
import { startFirstAudit } from './examples/dependency-audit/first-audit.js';
import { exitWith } from './exit.js';
import { listen } from './listen.js';

async function main(): Promise<void> {
  const settings = readEnvironment();
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(settings), new FastifyAdapter(), {
    abortOnError: false,
    logger: ['log', 'warn', 'error', 'fatal'],
  });
  app.setGlobalPrefix('api');
  app.enableShutdownHooks();
  try {
    const url = await listen(app, settings.host, settings.port);
    const logger = new Logger('Nestor');
    const audit = await startFirstAudit(app, settings.home);
    logger.log(`Ready in ${Math.round(process.uptime() * 1_000)} ms: ${url}/api/flow_runs lists the runs.`);
    if (audit) logger.log(`A first flow is running: ${url}/api/flow_runs/${audit.id}`);
  } catch (error) {
    await app.close(); // or the embedded server would stay behind
    throw error;
  }
}

main().catch(exitWith);

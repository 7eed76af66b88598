import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import application from './isolated.module.js';

// A process that serves pools: it ends in order when it is asked to.
async function run(): Promise<void> {
  process.env.IS_WORKER = 'yes';
  const context = await NestFactory.createApplicationContext(application(), { logger: ['log', 'warn', 'error'] });
  delete process.env.IS_WORKER; // what it starts inherits the rest
  process.on('SIGTERM', () => void context.close().then(() => process.exit(0)));
  process.send?.('up');
}

void run();

import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { InvalidEnvironmentError, readEnvironment, type Settings } from './config/environment.js';
import { exitWith } from './exit.js';
import { QuietNestLogger } from './quiet-nest.logger.js';
import { aborted, stopSignal } from './stop-signal.js';

/**
 * What is done for all processes of an application, in a process of its own: it schedules, sweeps, keeps house and so on. It
 * listens nowhere, and executes no waiting runs.
 */
async function main(): Promise<void> {
  const stop = stopSignal();
  const settings = readEnvironment();
  if (settings.services === false) {
    throw new InvalidEnvironmentError(['NESTOR_SERVICES is "none", and there is nothing else to do for this process']);
  }
  const app = await NestFactory.createApplicationContext(AppModule.with(settings, { onlyServices: true }), {
    abortOnError: false,
    logger: new QuietNestLogger(['log', 'warn', 'error', 'fatal']),
  });
  try {
    if (stop.aborted) return;
    new Logger('Nestor').log(`Ready in ${Math.round(process.uptime() * 1_000)} ms: ${namesOf(settings)}.`);
    await aborted(stop);
  } finally {
    await app.close(); // or the embedded server would stay behind
  }
}

function namesOf({ services }: Settings): string {
  const names = Object.entries(services || {}).flatMap(([name, isOn]) => (isOn ? [name] : []));
  return names.length > 0 ? `services ${names.join(', ')}` : 'all services';
}

main().catch(exitWith);

import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { RunOnce } from '@nestor/orchestrator';
import { AppModule } from './app.module.js';
import type { Settings } from './config/environment.js';
import { QuietNestLogger } from './quiet-nest.logger.js';
import { aborted } from './stop-signal.js';

/** A worker that looks for runs once, and ends when those that it got have ended. It listens nowhere. */
export async function runOnce(settings: Settings, stop: AbortSignal): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule.with(settings), {
    abortOnError: false,
    logger: new QuietNestLogger(['log', 'warn', 'error', 'fatal']),
  });
  try {
    const taken = await Promise.race([app.get(RunOnce).done(), aborted(stop)]);
    if (taken) new Logger('Nestor').log(`Looked once: ${counted(taken.length)} taken, and nothing more is.`);
  } finally {
    await app.close(); // or the embedded server would stay behind
  }
}

function counted(runs: number): string {
  return runs === 1 ? '1 run was' : `${runs} runs were`;
}

import type { INestApplicationContext } from '@nestjs/common';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { OrchestratorModule } from '@nestor/orchestrator';

/** Migrates the database, and does something with an application that executes nothing. */
export async function withApplication(
  url: string,
  work: (app: INestApplicationContext) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  @Module({ imports: [OrchestratorModule.forRoot({ database: { url }, worker: false, backgroundTasks: false })] })
  class PreparingModule {}

  const app = await NestFactory.createApplicationContext(PreparingModule, {
    logger: ['fatal', 'error', 'warn'],
    abortOnError: false,
  });
  try {
    await work(app);
  } finally {
    await app.close();
  }
}

import 'reflect-metadata';
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cron, CronExpression } from '@nestjs/schedule';
import { currentRun, OrchestratorModule } from '@nestor/orchestrator';
import { ScheduleModule } from '@nestor/schedule';

/** What a process of the test is told, in the environment variable `JOBS`. */
export interface JobsOrder {
  readonly url: string;
  /** Milliseconds: the one time of the long job. */
  readonly longJobAt: number;
  /** Where jobs note that they were called. */
  readonly notes: string;
  /** When this file is there the long job ends. */
  readonly end: string;
}

const order = JSON.parse(process.env.JOBS!) as JobsOrder;

@Injectable()
class Jobs {
  @Cron(CronExpression.EVERY_SECOND, { name: 'tick' })
  tick(): void {
    note('tick');
  }

  @Cron(new Date(order.longJobAt), { name: 'long' })
  async long(): Promise<void> {
    note('long');
    while (!existsSync(order.end)) await sleep(10);
    note('long ended');
  }
}

function note(job: string): void {
  appendFileSync(order.notes, `${job},${process.pid},${currentRun().flowRunId}\n`);
}

@Module({
  imports: [
    OrchestratorModule.forRoot({ database: { url: order.url } }),
    ScheduleModule.forRootAsync({ useFactory: () => ({ timeouts: false }) }),
  ],
  providers: [Jobs],
})
class JobsModule {}

async function run(): Promise<void> {
  const app = await NestFactory.createApplicationContext(JobsModule, { logger: ['warn', 'error'] });
  process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
  process.send?.('up');
}

void run();

import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Flows, OrchestratorModule } from '@nestor/orchestrator';
import { Client } from 'pg';
import { CountingFlows } from './counting-flows.js';

/** When a process is killed: before a statement leaves it, when it has just left, or when it was answered. */
export const MOMENTS = ['before', 'sent', 'answered'] as const;

/** What the program is told. */
export interface CountingOrder {
  readonly url: string;
  readonly app: string;
  /** The flows to begin, besides those that others have left. */
  readonly flows: readonly string[];
  /** The end of the process, counted in statements from when it is up; `null` for a process that lives. */
  readonly dies: { readonly at: number; readonly moment: (typeof MOMENTS)[number] } | null;
}

/** Kills this process at one of the statements that it sends from now on. */
function dieAt({ at, moment }: NonNullable<CountingOrder['dies']>): void {
  const die = (): void => void process.kill(process.pid, 'SIGKILL');

  const send = Client.prototype.query as (this: Client, ...args: unknown[]) => unknown;
  let sent = 0;
  Object.assign(Client.prototype, {
    query(this: Client, ...args: unknown[]) {
      sent += 1;
      if (sent === at && moment === 'before') die();
      const answer = send.apply(this, args);
      if (sent === at && moment === 'sent') setImmediate(die);
      if (sent === at && moment === 'answered') void Promise.resolve(answer).then(die, die);
      return answer;
    },
  });
}

async function run({ url, app, flows, dies }: CountingOrder): Promise<void> {
  @Module({
    imports: [
      OrchestratorModule.forRoot({ database: { url, poolSize: 3 }, app, maxRecoveries: 100_000 }),
      TypeOrmModule.forRoot({ type: 'postgres', url, poolSize: 3 }),
    ],
    providers: [CountingFlows],
  })
  class App {}
  const context = await NestFactory.createApplicationContext(App, { logger: false });
  if (dies) dieAt(dies);
  const starter = context.get(Flows);
  await Promise.all(flows.map((flow) => starter.start(CountingFlows, 'count', flow)));
}

process.on('message', (order: CountingOrder) => void run(order));

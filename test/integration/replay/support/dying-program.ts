import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Flows, OrchestratorModule } from '@nestor/orchestrator';
import { DyingFlows, MARKS_URL } from './dying-flows.js';

/** What the program is told. */
export interface Order {
  readonly url: string;
  readonly app: string;
  readonly maxRecoveries: number;
  /** The flow to start; `null` to take over what others left. */
  readonly start: 'deadly' | 'interrupted' | 'hooked' | null;
}

/** What it says: that it is up, which run it began, or that the run has come to where it waits for its end. */
export type Report = 'up' | 'waiting' | { readonly began: string };

async function run({ url, app, maxRecoveries, start }: Order): Promise<void> {
  @Module({
    imports: [OrchestratorModule.forRoot({ database: { url }, app, maxRecoveries })],
    providers: [DyingFlows, { provide: MARKS_URL, useValue: url }],
  })
  class App {}
  const context = await NestFactory.createApplicationContext(App, { logger: false });
  context.get(DyingFlows).afterwards = () => {
    report('waiting');
    return new Promise(() => undefined);
  };
  report('up');
  if (start === null) return;
  const flows = context.get(Flows);
  const { id } = await (start === 'hooked' ? flows.start(DyingFlows, start, 'told') : flows.start(DyingFlows, start));
  report({ began: id });
}

function report(what: Report): void {
  process.send?.(what);
}

process.on('message', (order: Order) => void run(order));

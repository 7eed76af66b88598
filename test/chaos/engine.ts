import { Flows, OrchestratorModule, RunControl, RunControlRefusedError } from '@nestor/orchestrator';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { ModuleRef, NestFactory } from '@nestjs/core';
import type { EngineSettings, News, Order } from './messages.js';
import { Random } from './random.js';
import { countRefusals } from './refusals.js';
import { Witness } from './witness.js';
import { BodyWitness } from './workload/body-witness.js';
import { ChaosFlows } from './workload/chaos-flows.js';
import { Clients } from './workload/client.js';

/**
 * Runs an application with everything at its default but the place of the database, and clients that use it.
 *
 * @param leave called when it has stopped: from then on the process ends by itself, if nothing holds it.
 */
export async function runEngine({ url, witnessFile, seed }: EngineSettings, leave: () => void): Promise<void> {
  const witness = new Witness(witnessFile);
  countRefusals((count) => tell({ kind: 'refused', count }));

  @Module({
    imports: [OrchestratorModule.forRoot({ database: { url } })],
    providers: [
      { provide: Witness, useValue: witness },
      {
        provide: BodyWitness,
        inject: [Witness, ModuleRef],
        useFactory: (file: Witness, modules: ModuleRef) => new BodyWitness(file, modules),
      },
      ChaosFlows,
    ],
  })
  class ChaosModule {}

  const app = await NestFactory.createApplicationContext(ChaosModule, {
    logger: ['fatal', 'error', 'warn'],
    abortOnError: false,
  });
  const clients = new Clients(app.get(Flows), app.get(RunControl), witness, new Random(seed), console.error);
  process.on('message', (order: Order) => void obey(order, app, clients, leave));
  tell({ kind: 'ready' });
  clients.start();
}

async function obey(order: Order, app: INestApplicationContext, clients: Clients, leave: () => void): Promise<void> {
  switch (order.kind) {
    case 'block':
      return block(order.forMs);
    case 'quiesce':
      return clients.quiesce();
    case 'resume':
      for (const id of order.flowRunIds) await resume(app.get(RunControl), id);
      return;
    case 'stop':
      clients.quiesce();
      await app.close();
      leave();
      process.disconnect();
  }
}

/** Keeps the event loop busy. */
function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

async function resume(control: RunControl, id: string): Promise<void> {
  try {
    await control.resume(id);
  } catch (error) {
    if (!(error instanceof RunControlRefusedError)) console.error(error); // somebody else may have been faster
  }
}

function tell(news: News): void {
  process.send?.(news);
}

import { OrchestratorModule, RunControl, RunControlRefusedError } from '@nestor/orchestrator';
import { Module, type INestApplicationContext } from '@nestjs/common';
import { ModuleRef, NestFactory } from '@nestjs/core';
import { BodyWitness } from './loads/body-witness.js';
import { applicationOf } from './loads/application-of.js';
import type { Users } from './loads/kinds.js';
import type { EngineSettings, News, Order } from './messages.js';
import { Random } from './random.js';
import { countRefusals } from './refusals.js';
import { Witness } from './witness.js';

/**
 * Runs an application with everything at its default but the place of the database and what its load needs, and those who use
 * it.
 *
 * @param leave called when it has stopped: from then on the process ends by itself, if nothing holds it.
 */
export async function runEngine(settings: EngineSettings, leave: () => void): Promise<void> {
  const { url, witnessFile, seed } = settings;
  const witness = new Witness(witnessFile);
  countRefusals((count) => tell({ kind: 'refused', count }));
  const loaded = applicationOf(settings);

  @Module({
    imports: [OrchestratorModule.forRoot({ database: { url }, ...loaded.options }), ...(loaded.imports ?? [])],
    providers: [
      { provide: Witness, useValue: witness },
      {
        provide: BodyWitness,
        inject: [Witness, ModuleRef],
        useFactory: (file: Witness, modules: ModuleRef) => new BodyWitness(file, modules),
      },
      ...loaded.providers,
    ],
  })
  class ChaosModule {}

  const app = await NestFactory.createApplicationContext(ChaosModule, {
    logger: ['fatal', 'error', 'warn'],
    abortOnError: false,
  });
  const users = loaded.serve({ app, witness, random: new Random(seed), report: console.error });
  process.on('message', (order: Order) => void obey(order, app, users, leave));
  tell({ kind: 'ready' });
}

async function obey(order: Order, app: INestApplicationContext, users: Users, leave: () => void): Promise<void> {
  switch (order.kind) {
    case 'block':
      return block(order.forMs);
    case 'quiesce':
      return users.quiesce();
    case 'resume':
      for (const id of order.flowRunIds) await resume(app.get(RunControl), id);
      return;
    case 'stop':
      users.quiesce();
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

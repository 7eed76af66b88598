import { Flows } from '@nestor/orchestrator';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { againAndAgain } from '../again-and-again.js';
import type { LoadedApplication } from '../kinds.js';
import { POOL } from './places.js';
import { Producers } from './producers.js';
import { QueuedFlows } from './queued-flows.js';

/** Of each process. */
const PRODUCERS = 4;
/** How many runs it executes at a time. */
const ROOM = 20;

/** An application with a database connection of its own, which serves the pool and what is in no pool. */
export const queueApplication = (url: string): LoadedApplication => ({
  options: { worker: { pools: [POOL], limit: ROOM } },
  imports: [TypeOrmModule.forRoot({ type: 'postgres', url, poolSize: 4 })],
  providers: [QueuedFlows],
  serve({ app, witness, random, report }) {
    const dataSource = app.get<DataSource>(getDataSourceToken());
    const producers = new Producers(app.get(Flows), dataSource, witness, random);
    return againAndAgain(PRODUCERS, () => producers.produce(), report);
  },
});

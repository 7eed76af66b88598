import { Flows, RunControl } from '@nestor/orchestrator';
import type { LoadedApplication } from '../kinds.js';
import { ChaosFlows } from './chaos-flows.js';
import { Clients } from './client.js';

export const engineApplication: LoadedApplication = {
  providers: [ChaosFlows],
  serve({ app, witness, random, report }) {
    const clients = new Clients(app.get(Flows), app.get(RunControl), witness, random, report);
    clients.start();
    return clients;
  },
};

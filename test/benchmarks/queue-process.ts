import { setTimeout as sleep } from 'node:timers/promises';
import { withProviders } from './app.js';
import { answerParent } from './child.js';
import { QueueFlows } from './queue-flows.js';
import { withClient } from './server.js';

/** How often it looks whether the last of them are recorded; they are, a few milliseconds after their bodies. */
const LOOK_MS = 10;

/** Drains what waits: tells how long that took, from the first body to the last record. */
answerParent(({ url, n }) =>
  withProviders(url, { providers: [QueueFlows] }, async (app) => {
    const flows = app.get(QueueFlows);
    let firstAt = flows.begun > 0 ? performance.now() : 0;
    await new Promise<void>((resolve) => {
      flows.onBegin = () => {
        firstAt ||= performance.now();
        if (flows.begun >= n) resolve();
      };
      if (flows.begun >= n) resolve();
    });
    await withClient(url, async (client) => {
      const open = `select exists (select from nestor.flow_run where state_type <> 'COMPLETED') as "open"`;
      while ((await client.query<{ open: boolean }>(open)).rows[0]?.open) await sleep(LOOK_MS);
    });
    return { ms: performance.now() - firstAt };
  }),
);

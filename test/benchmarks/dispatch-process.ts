import { withProviders } from './app.js';
import { answerParent } from './child.js';
import { QueueFlows } from './queue-flows.js';

/** A worker process: answers when it is ready, and then tells when each body begins, until it is ended. */
answerParent(
  ({ url }) =>
    new Promise((ready, failed) => {
      withProviders(url, { providers: [QueueFlows] }, (app) => {
        app.get(QueueFlows).onBegin = () => process.send?.({ begunAt: performance.timeOrigin + performance.now() });
        ready('ready');
        return new Promise(() => undefined);
      }).catch(failed);
    }),
);

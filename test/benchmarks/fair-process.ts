import { withProviders } from './app.js';
import { answerParent } from './child.js';
import { FairFlows } from './fair-flows.js';

/** How many runs it executes at a time. */
const AT_A_TIME = 10;

/** A worker process: answers when it is ready, and executes what waits until it is ended. */
answerParent(
  ({ url }) =>
    new Promise((ready, failed) => {
      withProviders(url, { providers: [FairFlows], worker: { limit: AT_A_TIME } }, () => {
        ready('ready');
        return new Promise(() => undefined);
      }).catch(failed);
    }),
);

import { withApp } from './app.js';
import { answerParent } from './child.js';

/** Runs a flow up to where all its tasks are recorded, tells its id and waits for the end of this process. */
answerParent(
  ({ url, n }) =>
    new Promise((recorded, failed) => {
      withApp(url, async (flows) => {
        flows.beforeEnd = (flowRunId) => {
          recorded(flowRunId);
          return new Promise(() => undefined);
        };
        await flows.allAtOnce(n);
      }).catch(failed);
    }),
);

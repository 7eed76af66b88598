import { withApp } from './app.js';
import { answerParent } from './child.js';
import { perSecond } from './limit.js';
import { peakRssMb } from './peak-memory.js';

/** Runs one flow and tells what it took. */
answerParent(({ url, n }) =>
  withApp(url, async (flows) => {
    const perS = await perSecond(n, () => flows.allAtOnce(n));
    return { perS, rssMb: peakRssMb() };
  }),
);

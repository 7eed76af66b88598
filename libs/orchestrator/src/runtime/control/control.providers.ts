import { RunControl } from './run-control.service.js';
import { RunObserver } from './run-observer.service.js';

/** What others want of runs. */
export const controlProviders = [RunObserver, RunControl];

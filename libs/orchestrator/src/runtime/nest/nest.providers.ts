import { Enhancers } from './enhancers.service.js';
import { RunContexts } from './run-contexts.service.js';

/** What of Nest runs take part in. */
export const nestProviders = [RunContexts, Enhancers];

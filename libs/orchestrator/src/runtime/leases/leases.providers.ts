import { ProcessAbilities } from './process-abilities.js';
import { ProcessLease } from './process-lease.service.js';

/** This process among others. */
export const leasesProviders = [ProcessAbilities, ProcessLease];

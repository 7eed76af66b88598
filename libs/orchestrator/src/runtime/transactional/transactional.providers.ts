import { HostDataSources } from './host-data-sources.service.js';
import { TransactionalAttempts } from './transactional-attempts.service.js';

/** Tasks within transactions of the application. */
export const transactionalProviders = [HostDataSources, TransactionalAttempts];

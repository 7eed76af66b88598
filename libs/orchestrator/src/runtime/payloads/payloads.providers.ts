import { PayloadTable } from './payload-table.js';
import { Payloads } from './payloads.service.js';

/** What runs are given and return. */
export const payloadsProviders = [PayloadTable, Payloads];

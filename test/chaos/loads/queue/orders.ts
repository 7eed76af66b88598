import { APPLICATION_ROLE } from '../../../../libs/orchestrator/src/persistence/embedded-postgres/roles.js';
import type { ChaosServer } from '../../server.js';

/** What the application keeps in transactions in which it asks for runs as well. */
export async function createOrders(server: ChaosServer): Promise<void> {
  await server.administer(async (client) => {
    await client.query(`create schema shop authorization ${APPLICATION_ROLE}`);
    await client.query(`set role ${APPLICATION_ROLE}`);
    await client.query('create table shop.orders (mark text primary key)');
  });
}

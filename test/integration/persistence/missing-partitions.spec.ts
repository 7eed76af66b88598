import { prepareDatabase } from '@nestor/orchestrator';
import { Client } from 'pg';
import { EmbeddedSuperuser } from './support/embedded-superuser.js';
import { emptyDatabase, openStore } from './support/store.js';

/** What a week that has come since the database was prepared looks like. */
const DROP_LAST_WEEK = (schema: string): string => `
  do $$
  declare
    latest text := (select max(relname) from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'r'
                     and relname ~ '^flow_run_\\d{8}$');
    parent text;
  begin
    for parent in select relname from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'p' loop
      execute format('drop table ${schema}.%I', parent || right(latest, 9));
    end loop;
  end $$`;

describe('a start when partitions of the coming weeks are missing', () => {
  it('succeeds with a role that may not create them, and says so', async () => {
    const superuser = await EmbeddedSuperuser.open();
    try {
      const owner = await superuser.createRole();
      await superuser.query(`create schema shared authorization ${owner}`);
      await prepareDatabase({ url: superuser.urlOf(owner), schema: 'shared' });
      const role = await superuser.createRole();
      await superuser.query(`grant usage on schema shared to ${role};
        grant select, insert, update, delete on all tables in schema shared to ${role}`);
      await superuser.query(DROP_LAST_WEEK('shared'));

      const log: string[] = [];
      const store = await openStore(
        { url: superuser.urlOf(role) },
        { schema: 'shared', log: (line) => log.push(line) },
      );
      await store.dataSource.destroy();
      expect(log).toEqual([expect.stringMatching(/partitions .* could not be created .*permission denied/)]);
    } finally {
      await superuser.close();
    }
  });

  it('waits only briefly for somebody who reads, and holds up nobody for longer', async () => {
    const database = await emptyDatabase();
    await prepareDatabase({ url: database.url });
    const reader = new Client({ connectionString: database.url });
    await reader.connect();
    try {
      await reader.query(DROP_LAST_WEEK('nestor'));
      await reader.query('begin; lock table nestor.flow_run_default in access share mode'); // as pg_dump does, for an hour
      const log: string[] = [];
      const store = await openStore(database, { log: (line) => log.push(line) });
      await store.dataSource.destroy();
      expect(log).toEqual([expect.stringMatching(/partitions .* could not be created .*lock timeout/)]);
    } finally {
      await reader.end();
      await database.drop();
    }
  });
});

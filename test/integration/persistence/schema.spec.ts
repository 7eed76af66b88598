import type { TestDatabase } from '@nestor/testing';
import type { OrchestratorDataSource } from '../../../libs/orchestrator/src/persistence/orchestrator-data-source.js';
import { emptyDatabase, open } from './support/store.js';
import { describeSchema } from './support/describe-schema.js';

describe('the schema that the migrations make', () => {
  let database: TestDatabase;
  let dataSource: OrchestratorDataSource;
  beforeAll(async () => {
    database = await emptyDatabase();
    dataSource = await open(database);
  });
  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  /** What would have to be done to the database for it to be what the entities say. */
  const differences = async (): Promise<string[]> =>
    (await dataSource.driver.createSchemaBuilder().log()).upQueries.map(({ query }) => query);

  it('is what the entities say', async () => {
    expect(await differences()).toEqual([]);
  });

  it.each<[string, string, string, RegExp]>([
    [
      'a column more',
      'alter table nestor.task_run add column extra text',
      'alter table nestor.task_run drop column extra',
      /DROP COLUMN "extra"/,
    ],
    [
      'a column of another type',
      'alter table nestor.log alter column level type integer',
      'alter table nestor.log alter column level type smallint',
      /"level"/,
    ],
    [
      'a column that may be null',
      'alter table nestor.log alter column message drop not null',
      'alter table nestor.log alter column message set not null',
      /"message" SET NOT NULL/,
    ],
    [
      'a column with another default',
      'alter table nestor.flow_run alter column run_count set default 1',
      'alter table nestor.flow_run alter column run_count set default 0',
      /"run_count" SET DEFAULT/,
    ],
    [
      'an index less',
      'drop index nestor.task_run_flow_run_idx',
      'create index task_run_flow_run_idx on nestor.task_run (flow_run_id, id)',
      /CREATE INDEX "task_run_flow_run_idx"/,
    ],
    [
      'an index more',
      'create index extra_idx on nestor.event (follows)',
      'drop index nestor.extra_idx',
      /DROP INDEX "nestor"."extra_idx"/,
    ],
    [
      'a unique constraint less',
      'alter table nestor.flow drop constraint flow_name_key',
      'alter table nestor.flow add constraint flow_name_key unique (name)',
      /UNIQUE \("name"\)/,
    ],
  ])('would be told from one with %s', async (_, change, undo, expected) => {
    await dataSource.query(change);
    try {
      const found = await differences();
      expect(found).toEqual(expect.arrayContaining([expect.stringMatching(expected)]));
    } finally {
      await dataSource.query(undo);
    }
    expect(await differences()).toEqual([]);
  });

  it('goes away with its migrations, and comes back the same', async () => {
    const made = await describeSchema(dataSource, 'nestor');
    expect(made.length).toBeGreaterThan(200);

    while (await hasMigrated(dataSource)) await dataSource.undoLastMigration({ transaction: 'each' });
    const left = (await describeSchema(dataSource, 'nestor')).filter((line) => !line.includes('migration'));
    expect(left).toEqual([]);

    await dataSource.destroy();
    dataSource = await open(database);
    expect(await describeSchema(dataSource, 'nestor')).toEqual(made);
  });
});

async function hasMigrated(dataSource: OrchestratorDataSource): Promise<boolean> {
  const rows = await dataSource.query<{ count: number }[]>('select count(*) from nestor.migration');
  return rows[0]!.count > 0;
}

import { migrations } from '../../../migrations/index.js';
import { DEFAULT_OPTIONS } from './orchestrator.options.js';
import { openDataSource } from './persistence/open-data-source.js';
import { entities } from './records/entities.js';

/** Which database, and which schema in it. */
export interface PrepareDatabaseOptions {
  readonly url: string;
  /** Default `nestor`. */
  readonly schema?: string;
}

/**
 * Creates the schema of a database, or brings it up to this release, without starting anything: what every start does
 * first, as a step of its own for those who deploy with a role that may not change schemas. Safe to run at any time, from
 * any number of processes.
 *
 * @throws the errors with codes `DATABASE_…` and `SCHEMA_…`.
 */
export async function prepareDatabase({ url, schema = DEFAULT_OPTIONS.schema }: PrepareDatabaseOptions): Promise<void> {
  const dataSource = await openDataSource({
    app: 'prepare',
    schema,
    database: { url, poolSize: 1 },
    entities,
    migrations,
    log: () => undefined,
  });
  await dataSource.destroy();
}

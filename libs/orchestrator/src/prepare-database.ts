import { migrations } from '../../../migrations/index.js';
import { DEFAULT_OPTIONS, type EmbeddedDatabaseOptions, type ServerDatabaseOptions } from './orchestrator.options.js';
import type { SchemaLevels } from './persistence/migrating/schema-levels.js';
import { openMigrated } from './persistence/open-data-source.js';
import { entities } from './records/entities.js';

/** Which database, and which schema in it. */
export type PrepareDatabaseOptions = (
  Pick<ServerDatabaseOptions, 'url' | 'directUrl'> | Required<Pick<EmbeddedDatabaseOptions, 'home'>>
) & {
  /** Default `nestor`. */
  readonly schema?: string;
  /**
   * Whether it is only looked at: where anything is missing it fails, and nothing is changed. Behind a transaction pooler
   * that takes `directUrl`. Default `false`.
   */
  readonly check?: boolean;
  /** Told what the embedded server does, and when partitions of the coming weeks could not be created. Default: nobody is. */
  readonly log?: (line: string) => void;
};

/**
 * Creates the schema of a database, or brings it up to this release, without starting anything: what every start does
 * first, as a step of its own for those who deploy with a role that may not change schemas. Safe to run at any time, from
 * any number of processes. An embedded server is started for that, if it does not run, and stopped again.
 *
 * @returns from which level to which the schema was brought; the same twice when it needed nothing.
 * @throws {SchemaNotMigratedError} with `check`, when the schema lacks migrations of this release, or is not there.
 * @throws {EmbeddedPostgresNotCreatedError} with `check`, when there is no embedded database yet.
 * @throws the errors with codes `DATABASE_…`, `SCHEMA_…` and `EMBEDDED_POSTGRES_…`.
 */
export async function prepareDatabase({
  schema = DEFAULT_OPTIONS.schema,
  check = false,
  log = () => undefined,
  ...database
}: PrepareDatabaseOptions): Promise<SchemaLevels> {
  const { dataSource, levels } = await openMigrated({
    ...{ app: 'prepare', schema, entities, migrations, log, isReadOnly: check },
    database: { ...database, poolSize: 1 },
  });
  await dataSource.destroy();
  return levels;
}

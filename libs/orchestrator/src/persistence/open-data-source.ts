import { resolve } from 'node:path';
import pg, { type Client } from 'pg';
import type { DataSourceOptions, EntityTarget, MigrationInterface } from 'typeorm';
import { CONNECT_TIMEOUT_MS, connect } from './connection/connect.js';
import { ConnectionSockets } from './connection/connection-sockets.js';
import { DATABASE_IDENTITY } from './connection/database-identity.js';
import { DirectDatabaseUrlError } from './connection/database-errors.js';
import { connectionSettingsOf, safeAddress, type ConnectionSettings } from './connection/connection-settings.js';
import { hasCluster } from './embedded-postgres/cluster-home.js';
import { EmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';
import { EmbeddedPostgresNotCreatedError } from './embedded-postgres/errors.js';
import { migrate, refuseOldSchema } from './migrating/migrate.js';
import type { SchemaLevels } from './migrating/schema-levels.js';
import { MIGRATIONS_TABLE } from './migrating/schema-state.js';
import { checkedSchemaName } from './migrating/schema-name.js';
import { OrchestratorDataSource } from './orchestrator-data-source.js';
import { SnakeCaseNamingStrategy } from './snake-case.naming-strategy.js';
import { typeParsers } from './type-parsers.js';

/** Silence on a connection after which its other end is asked whether it is there. */
const KEEP_ALIVE_AFTER_MS = 10_000;

/**
 * A connection that breaks is reported by the statement in progress, or by the next. Between the pool and its borrower
 * there is a moment in which nobody listens, and a server that shuts down may say so right then: in one packet with the
 * word that the connection is ready. That would end the process.
 */
class PoolClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

/** Where orchestration state is kept. */
type DatabaseSettings =
  /** Your own server, PostgreSQL 14 or newer; the direct URL leads to it past a pooler. */
  | { readonly url: string; readonly directUrl?: string; readonly poolSize: number }
  /** The embedded server, with its data in `<home>/postgres`. */
  | { readonly home: string; readonly poolSize: number };

export interface DataSourceSettings {
  readonly app: string;
  readonly schema: string;
  readonly database: DatabaseSettings;
  readonly entities: readonly EntityTarget<object>[];
  readonly migrations: readonly (new () => MigrationInterface)[];
  /** Whether nothing is to be written, and the database has to be there, with a schema that is up to date. Default `false`. */
  readonly isReadOnly?: boolean;
  /** Told about a connection of the pool that broke while idle, missing partitions, and what the embedded server does. */
  readonly log: (line: string) => void;
}

/**
 * Opens the data source on a schema that is up to date, starting the embedded server if there is no other.
 * What was opened on the way is closed again when a later step fails.
 *
 * @throws the errors of `database-errors.ts` and of the embedded server; all of them name what to do.
 */
export async function openDataSource(settings: DataSourceSettings): Promise<OrchestratorDataSource> {
  return (await openMigrated(settings)).dataSource;
}

/** The same, and from which level to which the schema was brought. */
export async function openMigrated(
  settings: DataSourceSettings,
): Promise<{ readonly dataSource: OrchestratorDataSource; readonly levels: SchemaLevels }> {
  const schema = checkedSchemaName(settings.schema);
  const server = await serverOf(settings);
  const applicationName = `nestor:${settings.app}`.slice(0, 63);
  const sockets = new ConnectionSockets();
  // Poolers refuse what makes a session read-only.
  const connection = settings.isReadOnly ? (server.direct ?? server.connection) : server.connection;
  const options = dataSourceOptions(settings, schema, connection, applicationName, sockets);
  const session = { ...(server.direct ?? server.connection), application_name: applicationName };
  const dataSource = new OrchestratorDataSource(options, session, sockets, server.close);
  try {
    let levels: SchemaLevels;
    const client = await connect(server.connection, applicationName);
    try {
      await dataSource.initialize();
      if (server.direct) await refuseOtherDatabase(client, server.connection, server.direct, applicationName);
      levels = settings.isReadOnly
        ? await refuseOldSchema(client, dataSource, schema)
        : await migrate(client, dataSource, schema, settings.log);
    } finally {
      await client.end();
    }
    return { dataSource, levels };
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

interface Server {
  readonly connection: ConnectionSettings;
  /** For the session that has to be one and the same all the time; `null` when it may be made like any other. */
  readonly direct: ConnectionSettings | null;
  readonly close: () => Promise<void>;
}

async function serverOf({ database, isReadOnly, log }: DataSourceSettings): Promise<Server> {
  if ('url' in database) {
    const { url, directUrl } = database;
    const direct = directUrl === undefined ? null : connectionSettingsOf(directUrl, 'direct database URL');
    return { connection: connectionSettingsOf(url), direct, close: async () => {} };
  }
  const directory = resolve(database.home, 'postgres');
  if (isReadOnly && !hasCluster(directory)) throw new EmbeddedPostgresNotCreatedError(directory);
  const embedded = await EmbeddedPostgres.open({ directory, log });
  return { connection: embedded.connection, direct: null, close: () => embedded.close() };
}

/** Heartbeats that go to another database would never be seen by anybody, and would find themselves fenced. */
async function refuseOtherDatabase(
  client: Client,
  connection: ConnectionSettings,
  direct: ConnectionSettings,
  applicationName: string,
): Promise<void> {
  const past = await connect(direct, applicationName);
  try {
    const [one, other] = await Promise.all([identityOf(client), identityOf(past)]);
    if (one !== other) throw new DirectDatabaseUrlError(safeAddress(connection), safeAddress(direct));
  } finally {
    await past.end();
  }
}

async function identityOf(client: Client): Promise<string | undefined> {
  const { rows } = await client.query<{ identity: string }>(DATABASE_IDENTITY);
  return rows[0]?.identity;
}

function dataSourceOptions(
  settings: DataSourceSettings,
  schema: string,
  connection: ConnectionSettings,
  applicationName: string,
  sockets: ConnectionSockets,
): DataSourceOptions {
  return {
    type: 'postgres',
    driver: pg, // ours: a strict package manager lets TypeORM see no `pg` of its own
    host: connection.host,
    port: connection.port,
    username: connection.user,
    password: connection.password,
    database: connection.database,
    ...(connection.ssl !== undefined && { ssl: connection.ssl as boolean }),
    schema,
    applicationName,
    poolSize: settings.database.poolSize,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    // Else a flush would wait for ever for the answer of a server that vanished without a word.
    extra: {
      Client: PoolClient,
      types: typeParsers,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
      stream: sockets.create,
      ...(settings.isReadOnly && { options: '-c default_transaction_read_only=on' }),
    },
    poolErrorHandler: (error: Error) => settings.log(`An idle database connection broke: ${error.message}`),
    entities: [...settings.entities] as DataSourceOptions['entities'],
    migrations: [...settings.migrations],
    migrationsTableName: MIGRATIONS_TABLE,
    namingStrategy: new SnakeCaseNamingStrategy(),
    synchronize: false,
    migrationsRun: false,
    logging: false,
  };
}

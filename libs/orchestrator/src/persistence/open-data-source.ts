import { join } from 'node:path';
import pg from 'pg';
import type { DataSourceOptions, EntityTarget, MigrationInterface } from 'typeorm';
import { CONNECT_TIMEOUT_MS, connect } from './connection/connect.js';
import { ConnectionSockets } from './connection/connection-sockets.js';
import { connectionSettingsOf, type ConnectionSettings } from './connection/connection-settings.js';
import { EmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';
import { migrate } from './migrating/migrate.js';
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
  /** Your own server, PostgreSQL 14 or newer. */
  | { readonly url: string; readonly poolSize: number }
  /** The embedded server, with its data in `<home>/postgres`. */
  | { readonly home: string; readonly poolSize: number };

export interface DataSourceSettings {
  readonly app: string;
  readonly schema: string;
  readonly database: DatabaseSettings;
  readonly entities: readonly EntityTarget<object>[];
  readonly migrations: readonly (new () => MigrationInterface)[];
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
  const schema = checkedSchemaName(settings.schema);
  const server = await serverOf(settings);
  const applicationName = `nestor:${settings.app}`.slice(0, 63);
  const sockets = new ConnectionSockets();
  const options = dataSourceOptions(settings, schema, server.connection, applicationName, sockets);
  const session = { ...server.connection, application_name: applicationName };
  const dataSource = new OrchestratorDataSource(options, session, sockets, server.close);
  try {
    const client = await connect(server.connection, applicationName);
    try {
      await dataSource.initialize();
      await migrate(client, dataSource, schema, settings.log);
    } finally {
      await client.end();
    }
    return dataSource;
  } catch (error) {
    await dataSource.destroy();
    throw error;
  }
}

interface Server {
  readonly connection: ConnectionSettings;
  readonly close: () => Promise<void>;
}

async function serverOf({ database, log }: DataSourceSettings): Promise<Server> {
  if ('url' in database) return { connection: connectionSettingsOf(database.url), close: async () => {} };
  const embedded = await EmbeddedPostgres.open({ directory: join(database.home, 'postgres'), log });
  return { connection: embedded.connection, close: () => embedded.close() };
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

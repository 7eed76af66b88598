import { DataSource, type DataSourceOptions } from 'typeorm';

/**
 * Our data source: the pool, and with it whatever has to be closed when the pool is, such as the embedded server.
 *
 * Nest's TypeORM module destroys the data source last of all (`onApplicationShutdown`), after everything that writes has
 * drained; tying the server to it keeps that order without a second list of things to close.
 */
export class OrchestratorDataSource extends DataSource {
  constructor(
    options: DataSourceOptions,
    private readonly closeServer: () => Promise<void>,
  ) {
    super(options);
  }

  /** Closes the pool and then the server behind it, also when closing the pool fails. */
  override async destroy(): Promise<void> {
    try {
      if (this.isInitialized) await super.destroy();
    } finally {
      await this.closeServer();
    }
  }
}

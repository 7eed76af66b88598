import type { ClientConfig } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { ConnectionSockets } from './connection/connection-sockets.js';

/** How long connections may take to close in order. By then nothing writes any more, so a server that answers needs less. */
const CLOSE_WITHIN_MS = 500;

/**
 * Our data source: the pool, and with it whatever has to be closed when the pool is, such as the embedded server.
 *
 * Nest's TypeORM module destroys the data source last of all (`onApplicationShutdown`), after everything that writes has
 * drained; tying the server to it keeps that order without a second list of things to close.
 */
export class OrchestratorDataSource extends DataSource {
  constructor(
    options: DataSourceOptions,
    /** How to open a session of one's own, outside the pool. */
    readonly session: ClientConfig,
    private readonly sockets: ConnectionSockets,
    private readonly closeServer: () => Promise<void>,
  ) {
    super(options);
  }

  /**
   * Closes the pool and then the server behind it, also when closing the pool fails. The pool waits for connections that are
   * being made and for answers; a server that never gives any is not waited for.
   */
  override async destroy(): Promise<void> {
    const timer = setTimeout(() => this.sockets.destroyAll(), CLOSE_WITHIN_MS);
    try {
      if (this.isInitialized) await super.destroy();
    } finally {
      clearTimeout(timer);
      await this.closeServer();
    }
  }
}

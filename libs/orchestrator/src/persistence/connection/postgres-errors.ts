/** The SQLSTATE codes we act on, by name (https://www.postgresql.org/docs/current/errcodes-appendix.html). */
export const SqlState = {
  UnknownPreparedStatement: '26000',
  DuplicatePreparedStatement: '42P05',
  InvalidPassword: '28P01',
  InvalidAuthorization: '28000',
  InvalidCatalogName: '3D000',
  InsufficientPrivilege: '42501',
  InFailedTransaction: '25P02',
  UniqueViolation: '23505',
  CheckViolation: '23514',
  SerializationFailure: '40001',
  DeadlockDetected: '40P01',
  /** The server failed over: it takes writes again once it is the primary, or we reach the one that is. */
  ReadOnlyTransaction: '25006',
  IdleInTransactionTimeout: '25P03',
  DiskFull: '53100',
  TooManyConnections: '53300',
  /** A lock that was not to be had within `lock_timeout`. */
  LockNotAvailable: '55P03',
  /** `statement_timeout`, or an administrator. */
  QueryCanceled: '57014',
  AdminShutdown: '57P01',
  CrashShutdown: '57P02',
  CannotConnectNow: '57P03',
  IdleSessionTimeout: '57P05',
  UndefinedTable: '42P01',
  InvalidSchemaName: '3F000',
} as const;

const PASSING_STATES: ReadonlySet<string> = new Set([
  SqlState.UnknownPreparedStatement, // `Transactions` prepares nothing from then on
  SqlState.DuplicatePreparedStatement,
  SqlState.SerializationFailure,
  SqlState.DeadlockDetected,
  SqlState.ReadOnlyTransaction,
  SqlState.IdleInTransactionTimeout,
  SqlState.DiskFull,
  SqlState.TooManyConnections,
  SqlState.LockNotAvailable,
  SqlState.QueryCanceled,
  SqlState.AdminShutdown,
  SqlState.CrashShutdown,
  SqlState.CannotConnectNow,
  SqlState.IdleSessionTimeout,
]);

const PASSING_SYSTEM_ERRORS: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN', // the name server is away
  'ENOTFOUND', // the name was known when we started
  'ENOENT', // the unix socket of a server that is being restarted
]);

/** The `code` of an error of `pg`, of Node, or of what wraps them; `undefined` when it has none. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, driverError } = error as { code?: unknown; driverError?: unknown };
  if (typeof code === 'string') return code;
  return driverError === undefined ? undefined : errorCode(driverError);
}

/** Whether the same statement may well succeed a little later: the server restarts, or somebody else was first. */
export function isPassing(error: unknown): boolean {
  const code = errorCode(error);
  if (code === SqlState.CheckViolation) return isLatePartition(error);
  if (code !== undefined) return PASSING_STATES.has(code) || PASSING_SYSTEM_ERRORS.has(code) || code.startsWith('08');
  return error instanceof Error && WITHOUT_CODE.test(error.message);
}

/** How `pg` says, without any code, that a connection ended under a query, or that there was none in time. */
const WITHOUT_CODE =
  /^Connection terminated|^Client has encountered a connection error|^timeout exceeded when trying to connect|^timeout expired/;

/**
 * A row was on its way into the default partition while that gave the row's week away to a partition of its own; the next
 * time it goes there. Such a violation, unlike that of a check, names no constraint.
 */
function isLatePartition(error: unknown): boolean {
  const { constraint, driverError } = error as { constraint?: unknown; driverError?: unknown };
  return driverError === undefined ? constraint === undefined : isLatePartition(driverError);
}

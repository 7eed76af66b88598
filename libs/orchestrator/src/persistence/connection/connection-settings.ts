import { parse } from 'pg-connection-string';
import { InvalidDatabaseUrlError, type SafeAddress, type UrlSubject } from './database-errors.js';

/** How to reach one database of one server. */
export interface ConnectionSettings {
  /** A host name, an address, or the directory of a unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl?: boolean | object;
}

/**
 * Reads a connection URL as `pg` does, unix sockets (`?host=/run/postgresql`) and `sslmode` included. Other parameters, such
 * as `options` and `application_name`, are not used.
 *
 * @throws {InvalidDatabaseUrlError} when it is no such URL, or names no database.
 */
export function connectionSettingsOf(url: string, subject?: UrlSubject): ConnectionSettings {
  if (!/^postgres(ql)?:\/\//.test(url)) throw new InvalidDatabaseUrlError('does not start with postgres://', subject);
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(url);
  } catch {
    throw new InvalidDatabaseUrlError('cannot be read', subject); // the error of the parser quotes the URL, password and all
  }
  const port = parsed.port ? Number(parsed.port) : 5432;
  if (!Number.isInteger(port) || port < 1 || port > 65535)
    throw new InvalidDatabaseUrlError('names no valid port', subject);
  if (!parsed.database) throw new InvalidDatabaseUrlError('names no database', subject);
  return {
    host: parsed.host || 'localhost',
    port,
    user: parsed.user || 'postgres',
    password: parsed.password ?? '',
    database: parsed.database,
    ...(parsed.ssl !== undefined && { ssl: parsed.ssl as boolean | object }),
  };
}

/** `user@host:port/database`: what may be printed. */
export function safeAddress(settings: ConnectionSettings): SafeAddress {
  return `${settings.user}@${settings.host}:${settings.port}/${settings.database}`;
}

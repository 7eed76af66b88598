import { connectionSettingsOf, safeAddress } from './connection-settings.js';
import { InvalidDatabaseUrlError } from './database-errors.js';

describe('connectionSettingsOf', () => {
  it('reads every part of a URL', () => {
    expect(connectionSettingsOf('postgres://ada:s3cret@db.example:6543/runs')).toEqual({
      host: 'db.example',
      port: 6543,
      user: 'ada',
      password: 's3cret',
      database: 'runs',
    });
  });

  it.each([
    ['the longer scheme', 'postgresql://ada:x@h/db', { user: 'ada', host: 'h', database: 'db' }],
    ['the default port', 'postgres://ada:x@h/db', { port: 5432 }],
    ['no password', 'postgres://ada@h/db', { user: 'ada', password: '' }],
    ['no user', 'postgres://h/db', { user: 'postgres', host: 'h' }],
    ['no host', 'postgres:///db', { host: 'localhost', database: 'db' }],
    ['an address of version 6', 'postgres://ada:x@[::1]:6543/db', { host: '::1', port: 6543 }],
    [
      'encoded characters',
      'postgres://a%40b:p%2F%3A%40%25@h/my%20db',
      { user: 'a@b', password: 'p/:@%', database: 'my db' },
    ],
    ['a percent sign nobody encoded', 'postgres://ada:50%@h/db', { password: '50%' }],
    ['a socket', 'postgres://ada:x@localhost/db?host=/run/postgresql', { host: '/run/postgresql', database: 'db' }],
    ['a socket with a port', 'postgres://ada:x@localhost/db?host=%2Ftmp%2Fa&port=6543', { host: '/tmp/a', port: 6543 }],
    [
      'a socket in place of the host',
      'postgres://ada:x@%2Frun%2Fpostgresql/db',
      { host: '/run/postgresql', database: 'db' },
    ],
    ['no encryption', 'postgres://ada:x@h/db?sslmode=disable', { ssl: false }],
    ['encryption without a check', 'postgres://ada:x@h/db?sslmode=no-verify', { ssl: { rejectUnauthorized: false } }],
  ])('reads %s: %s', (_, url, expected) => {
    expect(connectionSettingsOf(url)).toMatchObject(expected);
  });

  it('says nothing about encryption when the URL does not', () => {
    expect(connectionSettingsOf('postgres://ada:x@h/db')).not.toHaveProperty('ssl');
  });

  it.each([
    ['', 'does not start with postgres://'],
    ['db', 'does not start with postgres://'],
    ['/run/postgresql db', 'does not start with postgres://'],
    ['socket:/run/postgresql?db=x', 'does not start with postgres://'],
    ['http://ada:hunter2@h/db', 'does not start with postgres://'],
    [' postgres://ada:hunter2@h/db', 'does not start with postgres://'],
    ['postgres://ada:hunter2@h:port/db', 'cannot be read'],
    ['postgres://ada:hunter2@h:0/db', 'names no valid port'],
    ['postgres://ada:hunter2@h/db?port=99999', 'names no valid port'],
    ['postgres://ada:hunter2@h/db?port=1.5', 'names no valid port'],
    ['postgres://ada:hunter2@h', 'names no database'],
    ['postgres://ada:hunter2@h/', 'names no database'],
  ])('refuses %j without quoting it', (url, problem) => {
    let thrown: unknown;
    try {
      connectionSettingsOf(url);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(InvalidDatabaseUrlError);
    expect(thrown).toMatchObject({ code: 'DATABASE_URL_INVALID', problem });
    expect((thrown as Error).message).not.toContain('hunter2');
    expect((thrown as Error).cause).toBeUndefined();
  });
});

describe('safeAddress', () => {
  it('has everything but the password', () => {
    expect(safeAddress(connectionSettingsOf('postgres://ada:hunter2@db.example/runs'))).toBe(
      'ada@db.example:5432/runs',
    );
  });
});

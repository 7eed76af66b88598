import { errorCode, isPassing } from './postgres-errors.js';

const withCode = (code: string, more: object = {}): Error => Object.assign(new Error('x'), { code, ...more });
const wrapped = (driverError: unknown): Error => Object.assign(new Error('Query failed'), { driverError });

describe('errorCode', () => {
  it.each<[string, unknown, string | undefined]>([
    ['an error with a code', withCode('23505'), '23505'],
    ['an error around one', wrapped(withCode('23505')), '23505'],
    ['an error around an error around one', wrapped(wrapped(withCode('ECONNRESET'))), 'ECONNRESET'],
    ['an error without a code', new Error('x'), undefined],
    ['a code that is a number', Object.assign(new Error('x'), { code: 7 }), undefined],
    ['text', '23505', undefined],
    ['null', null, undefined],
    ['undefined', undefined, undefined],
  ])('of %s', (_, error, expected) => {
    expect(errorCode(error)).toBe(expected);
  });
});

describe('isPassing', () => {
  it.each<[string, unknown]>([
    ['a deadlock', withCode('40P01')],
    ['a serialisation failure', withCode('40001')],
    ['a server that shuts down', withCode('57P01')],
    ['a server that crashed', withCode('57P02')],
    ['a server that starts', withCode('57P03')],
    ['a server that is full', withCode('53300')],
    ['a server that was the primary and is read-only now', withCode('25006')],
    ['a transaction that was idle for too long', withCode('25P03')],
    ['a session that was idle for too long', withCode('57P05')],
    ['a prepared statement that the session does not know', withCode('26000')],
    ['a prepared statement that the session knows already', withCode('42P05')],
    ['a disk that is full', withCode('53100')],
    ['a lock that was not to be had in time', withCode('55P03')],
    ['a statement that was cancelled', withCode('57014')],
    ['a connection exception of any kind', withCode('08006')],
    ['a server that does not listen', withCode('ECONNREFUSED')],
    ['a connection that was reset', withCode('ECONNRESET')],
    ['a socket that is not there', withCode('ENOENT')],
    ['a broken connection that pg reports without a code', new Error('Connection terminated unexpectedly')],
    ['a connection that took too long', new Error('Connection terminated due to connection timeout')],
    ['a pool without a free connection', new Error('timeout exceeded when trying to connect')],
    ['a server that does not answer', new Error('timeout expired')],
    ['a host that cannot be reached', withCode('EHOSTUNREACH')],
    ['a name server that is away', withCode('EAI_AGAIN')],
    ['a name that is gone for the moment', withCode('ENOTFOUND')],
    ['the next query after it', new Error('Client has encountered a connection error and is not queryable')],
    ['a row whose week has just got a partition', withCode('23514')],
    ['any of them within an error of TypeORM', wrapped(withCode('40P01'))],
    ['the last of them within an error of TypeORM', wrapped(withCode('23514'))],
  ])('%s may be gone the next time', (_, error) => {
    expect(isPassing(error)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['a unique violation', withCode('23505')],
    ['a check that a row does not meet', withCode('23514', { constraint: 'flow_run_state_type_check' })],
    ['the same within an error of TypeORM', wrapped(withCode('23514', { constraint: 'flow_run_state_type_check' }))],
    ['a syntax error', withCode('42601')],
    ['a table that is missing', withCode('42P01')],
    ['a wrong password', withCode('28P01')],
    ['an error of our own', withCode('FLOW_RUN_NOT_FOUND')],
    ['any other error', new Error('Connection is what it speaks of')],
    ['text', 'Connection terminated'],
    ['nothing', undefined],
  ])('%s will be there the next time', (_, error) => {
    expect(isPassing(error)).toBe(false);
  });
});

import { DatabaseTooOldError } from './database-errors.js';
import { refuseOldServer } from './server-version.js';

const check = (number: number, name: string) => () => refuseOldServer({ number, name }, 'ada@db.example:5432/runs');

describe('refuseOldServer', () => {
  it.each([
    [140_000, '14.0'],
    [140_023, '14.23'],
    [150_019, '15.19 (Debian 15.19-0+deb12u1)'],
    [180_004, '18.4'],
    [190_000, '19devel'],
  ])('lets version %i (%s) pass', (number, name) => {
    expect(check(number, name)).not.toThrow();
  });

  it.each([
    [130_999, '13.999'],
    [130_000, '13.0'],
    [90_624, '9.6.24'],
  ])('refuses version %i (%s)', (number, name) => {
    expect(check(number, name)).toThrow(DatabaseTooOldError);
    expect(check(number, name)).toThrow(
      `The server at ada@db.example:5432/runs is PostgreSQL ${name}; version 14 or newer is needed.`,
    );
  });

  it('has a code to match on', () => {
    expect(new DatabaseTooOldError('a', '13.0')).toMatchObject({ code: 'DATABASE_TOO_OLD', serverVersion: '13.0' });
  });
});

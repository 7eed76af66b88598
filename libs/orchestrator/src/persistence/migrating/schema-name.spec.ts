import { InvalidSchemaNameError } from '../connection/database-errors.js';
import { checkedSchemaName } from './schema-name.js';

describe('checkedSchemaName', () => {
  it.each(['nestor', 'orders_flows', '_', '_1', 'a1', 'order', 'pg', 'a'.repeat(48)])('lets %s pass', (name) => {
    expect(checkedSchemaName(name)).toBe(name);
  });

  it.each([
    ['nothing', ''],
    ['upper case, which would need quotes', 'Nestor'],
    ['a digit first', '1st'],
    ['what PostgreSQL keeps for itself', 'pg_nestor'],
    ['a hyphen', 'a-b'],
    ['a space', 'a b'],
    ['a quote', 'a"b'],
    ['the end of a statement', 'a;b'],
    ['a dot', 'a.b'],
    ['a line break at the end', 'a\n'],
    ['a letter that is not ASCII', 'ä'],
    ['more than 48 characters', 'a'.repeat(49)],
  ])('refuses %s: %j', (_, name) => {
    expect(() => checkedSchemaName(name)).toThrow(InvalidSchemaNameError);
    expect(() => checkedSchemaName(name)).toThrow(`"${name}" is no name for a schema; use up to 48 lower-case letters`);
  });
});

import type { INestApplicationContext } from '@nestjs/common';
import { Variables } from '@nestor/orchestrator';
import type { TestDatabase } from '@nestor/testing';
import { startApp } from '../../support/app.js';
import { testDatabase } from '../../support/database.js';
import { sql } from '../../support/sql.js';

describe('variables', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let other: INestApplicationContext;
  let variables: Variables;
  beforeAll(async () => {
    database = await testDatabase();
    [app, other] = await Promise.all([startApp({ url: database.url }), startApp({ url: database.url })]);
    variables = app.get(Variables);
  });
  afterAll(async () => {
    await Promise.all([app.close(), other.close()]);
    await database.drop();
  });
  beforeEach(() => sql(database, 'delete from nestor.variable'));

  it.each([['text'], [''], [0], [false], [null], [[1, 'a', null]], [{ limits: { small: 1, large: [2] } }]])(
    'are set, got by every process, and unset: %j [A03]',
    async (value) => {
      await variables.set('a', value);
      expect(await other.get(Variables).get('a')).toEqual(value);
      expect(await other.get(Variables).unset('a')).toBe(true);
      expect(await variables.unset('a')).toBe(false);
      await expect(variables.get('a')).rejects.toMatchObject({ code: 'VARIABLE_NOT_FOUND', variable: 'a' });
    },
  );

  it('have a value that is given where they are not set', async () => {
    expect(await variables.get('limit', 10)).toBe(10);
    expect(await variables.get('limit', undefined)).toBeUndefined();
    await variables.set('limit', null);
    expect(await variables.get<number | null>('limit', 10)).toBeNull();
  });

  it('are overwritten only by who says so, and keep their tags then unless others are given', async () => {
    await variables.set('a', 1, { tags: ['x', 'y', 'x'] });
    await expect(variables.set('a', 2)).rejects.toMatchObject({ code: 'VARIABLE_EXISTS', variable: 'a' });
    expect(await variables.list()).toMatchObject([{ name: 'a', value: 1, tags: ['x', 'y'] }]);
    await variables.set('a', 2, { overwrite: true });
    expect(await variables.list()).toMatchObject([{ name: 'a', value: 2, tags: ['x', 'y'] }]);
    await variables.set('a', 3, { overwrite: true, tags: [] });
    const [row] = await variables.list();
    expect(row).toEqual({ name: 'a', value: 3, tags: [], created: expect.any(Number), updated: expect.any(Number) });
    expect(row!.updated).toBeGreaterThan(row!.created);
  });

  it('are set once when many set them at once', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 40 }, (_, index) => (index % 2 ? app : other).get(Variables).set('race', index)),
    );
    const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
    expect(winners).toEqual([await variables.get('race')]);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'VARIABLE_EXISTS' });
    }
  });

  it('are listed by name, page by page', async () => {
    const names = ['b', 'a-1', 'a_1', '10', 'a1', '9'];
    for (const name of names) await variables.set(name, name);
    const sorted = [...names].sort();
    expect((await variables.list()).map(({ name }) => name)).toEqual(sorted);
    expect((await variables.list({ limit: 2, after: sorted[1]! })).map(({ name }) => name)).toEqual(sorted.slice(2, 4));
    await expect(variables.list({ limit: 201 })).rejects.toMatchObject({ code: 'INVALID_QUERY' });
  });

  it('that cannot be meant are refused, and nothing is kept [A03]', async () => {
    await expect(variables.set('Not A Name', 1)).rejects.toMatchObject({ code: 'INVALID_VARIABLE' });
    await expect(variables.set('a', 'x'.repeat(5_000))).rejects.toMatchObject({
      code: 'INVALID_VARIABLE',
      message: 'Variable "a" cannot be set: its value has 5002 characters as JSON, more than 5000.',
    });
    await expect(variables.set('a', 'a\0')).rejects.toThrow(/has a NUL/);
    await expect(variables.set('a', 1, { tags: [''] })).rejects.toThrow(/is no tag/);
    expect(await variables.list()).toEqual([]);
  });
});

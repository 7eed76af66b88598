import type { TestDatabase } from '@nestor/testing';
import * as fc from 'fast-check';
import { RowSet } from '../../../libs/orchestrator/src/records/row-set.js';
import { testDatabase } from '../../support/database.js';
import { openStore, type Store } from './support/store.js';

interface Row {
  readonly id: string | null;
  readonly text: string | null;
  readonly json: string | null;
  readonly count: number | null;
  readonly large: number | null;
  readonly at: string | null;
  readonly isNew: boolean | null;
}

const rows = new RowSet<Row>([
  ['id', 'uuid', ({ id }) => id],
  ['text', 'text', ({ text }) => text],
  ['json', 'json', ({ json }) => json],
  ['count', 'integer', ({ count }) => count],
  ['large', 'bigint', ({ large }) => large],
  ['at', 'timestamptz', ({ at }) => at],
  ['is_new', 'boolean', ({ isNew }) => isNew],
]);

/** Text of any kind, much of it of the characters that mean something in an array; PostgreSQL holds no NUL. */
const texts = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom('"', '\\', ',', '{', '}', 'N', 'U', 'L', ' ', '\n', '\r', '\t', '’', '🐢') }),
    fc.constantFrom('NULL', 'null', '', ' ', '{}', '"', '\\', '\\"', '"NULL"'),
  )
  .map((text) => text.replaceAll('\0', ''));
const nullable = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { nil: null });
const anyRow: fc.Arbitrary<Row> = fc.record({
  id: nullable(fc.uuid()),
  text: nullable(texts),
  json: nullable(fc.json().filter((json) => !json.includes('\\u0000'))),
  count: nullable(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  large: nullable(fc.maxSafeInteger()),
  at: nullable(fc.integer({ min: 0, max: 4e15 }).map((us) => isoOf(us))),
  isNew: nullable(fc.boolean()),
});

function isoOf(us: number): string {
  const seconds = new Date(Math.floor(us / 1e6) * 1_000).toISOString().slice(0, 19);
  return `${seconds}.${String(us % 1e6).padStart(6, '0')}Z`;
}

describe('rows as a statement takes them', () => {
  let database: TestDatabase;
  let store: Store;
  beforeAll(async () => {
    database = await testDatabase();
    store = await openStore(database, { poolSize: 1 });
  });
  afterAll(async () => {
    await store.dataSource.destroy();
    await database.drop();
  });

  const numbered = rows
    .source(1, 'r')
    .replace(' as element(', ' with ordinality as element(')
    .replace(/\)\) as r$/, ', n)) as r');
  /** What PostgreSQL makes of rows, in their order, everything as text. */
  const read = (sent: readonly Row[]): Promise<Record<string, unknown>[]> =>
    store.dataSource.query(
      `select id::text, text, json::text as json, count::text, large::text, is_new as "isNew",
              to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at
         from ${numbered}
        order by n`,
      rows.parameters(sent),
    );
  const textual = (value: number | null): string | null => (value === null ? null : String(value));

  it('arrive as they were sent, whatever they hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyRow, { maxLength: 20 }), async (sent) => {
        expect(await read(sent)).toEqual(
          sent.map(({ count, large, ...row }) => ({ ...row, count: textual(count), large: textual(large) })),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('arrive by the thousand', async () => {
    const sent = fc.sample(anyRow, 5_000);
    const arrived = await read(sent);
    expect(arrived.map(({ text }) => text)).toEqual(sent.map(({ text }) => text));
  });

  it('are refused with a NUL in their text, which PostgreSQL does not hold', async () => {
    const row = { id: null, text: 'a\0b', json: null, count: null, large: null, at: null, isNew: null };
    await expect(read([row])).rejects.toMatchObject({ code: '22021' });
  });
});

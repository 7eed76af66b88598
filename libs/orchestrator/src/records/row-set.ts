/** How a value of a column is written inside an array literal. */
const BARE_TYPES = ['uuid', 'timestamptz', 'integer', 'smallint', 'bigint', 'boolean', 'double precision'] as const;

type ColumnType = (typeof BARE_TYPES)[number] | 'text' | 'json' | 'jsonb';
type Cell = string | number | boolean | null;

/** One column of rows on their way into a statement: its name there, its type, and where the value comes from. */
export type RowColumn<Row> = readonly [name: string, type: ColumnType, value: (row: Row) => Cell];

/**
 * Rows as a statement takes them: one array parameter per column, however many rows. A statement with a parameter per
 * value would stop at 65,535 of them and be planned anew for every batch size; this one is planned once, and was measured
 * three times as fast as multi-row `values`.
 *
 * The arrays are written as text here: `pg` would go through every value again to find out what it is.
 */
export class RowSet<Row> {
  /** The names of the columns, as an `insert` or a `select` lists them. */
  readonly names: string;

  constructor(private readonly columns: readonly RowColumn<Row>[]) {
    this.names = columns.map(([name]) => name).join(', ');
  }

  /** How many parameters the rows take. */
  get width(): number {
    return this.columns.length;
  }

  /** The rows as a relation `t(id, …)`; `first` is the number of its first parameter. See {@link unnested}. */
  source(first: number, alias: string): string {
    const types = this.columns.map(([, type]) => type);
    return `(${unnested(first, types, this.names)}) as ${alias}`;
  }

  /** A given number of rows as a relation of single parameters: `(values ($4::uuid, …), …) as t(id, …)`. */
  values(first: number, alias: string, count: number): string {
    let next = first;
    const row = (): string => `(${this.columns.map(([, type]) => `$${next++}::${type}`).join(', ')})`;
    return `(values ${Array.from({ length: count }, row).join(', ')}) as ${alias}(${this.names})`;
  }

  /** The parameters of {@link values} for these rows. */
  singles(rows: readonly Row[]): Cell[] {
    return rows.flatMap((row) => this.columns.map(([, , value]) => value(row)));
  }

  /** The parameters of {@link source} for these rows. */
  parameters(rows: readonly Row[]): string[] {
    return this.columns.map(([, type, value]) =>
      isBare(type) ? bareArray(rows, value) : quotedArray(rows, value as (row: Row) => string | null),
    );
  }
}

/**
 * The elements of array parameters as rows, of which the planner cannot see how many there are.
 *
 * Otherwise it plans a prepared statement anew for every execution as long as the arrays are short: a plan for one row looks
 * cheaper than one for the ten that it takes unknown arrays to have. On tables with partitions that took several times as
 * long as the execution. The plan for ten, made once, is the one for many rows as well. (`offset 0` keeps the parameters
 * from being put in their places.)
 *
 * @param names what the columns are called; one more than types where the rows are to be numbered, from 1.
 */
export function unnested(first: number, types: readonly ColumnType[], names: string, numbered = false): string {
  const arrays = types.map((type, index) => `$${first + index}::${type}[] as a${index}`).join(', ');
  const elements = types.map((_, index) => `given.a${index}`).join(', ');
  const order = numbered ? ' with ordinality' : '';
  return `select element.* from (select ${arrays} offset 0) as given cross join unnest(${elements})${order} as element(${names})`;
}

/**
 * A condition that always holds, and of which the planner assumes that few rows, mostly one, meet it: those that it
 * qualifies are looked up one by one in the index of what they are joined with.
 *
 * Otherwise the plan depends on when it was made: in the first moments of a table, or of a partition, reading all of it is
 * cheaper than ten looks at its index. Such a plan is kept until the server analyses the table, a minute and many thousand
 * rows later. Nothing that is large itself may be joined in the same place: it would be read once for each row.
 */
export const assumedFew = (value: string): string => `nullif(${value}, ${value}) is null`;

function isBare(type: ColumnType): boolean {
  return (BARE_TYPES as readonly string[]).includes(type);
}

// Joined at once: adding piece by piece makes a rope of small strings, which costs more to collect than to build.

/** Ids, instants and numbers hold no character that means something in an array literal. */
function bareArray<Row>(rows: readonly Row[], value: (row: Row) => Cell): string {
  const cells = rows.map((row) => value(row) ?? 'NULL');
  return `{${cells.join(',')}}`;
}

function quotedArray<Row>(rows: readonly Row[], value: (row: Row) => string | null): string {
  const cells = rows.map((row) => quoted(value(row)));
  return `{${cells.join(',')}}`;
}

const SPECIAL = /["\\]/;
const EVERY_SPECIAL = /["\\]/g;
function quoted(value: string | null): string {
  if (value === null) return 'NULL';
  return SPECIAL.test(value) ? `"${value.replace(EVERY_SPECIAL, '\\$&')}"` : `"${value}"`;
}

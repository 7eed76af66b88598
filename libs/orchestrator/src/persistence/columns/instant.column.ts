import { formatInstant, type Instant } from '@nestor/core';
import { Column, PrimaryColumn, type ColumnOptions } from 'typeorm';

/**
 * A `timestamptz` column that is an {@link Instant} in code, exact to the microsecond.
 *
 * Reading needs nothing here: the data source's type parsers already give instants. Writing hands `pg` an object that
 * prints itself, because TypeORM turns a string for such a column into a `Date`, which would cut it to milliseconds.
 */
export function InstantColumn(options: ColumnOptions = {}): PropertyDecorator {
  return Column({ type: 'timestamptz', transformer: instantTransformer, ...options });
}

/** An {@link InstantColumn} that is part of the primary key. */
export function PrimaryInstantColumn(options: { primaryKeyConstraintName: string }): PropertyDecorator {
  return PrimaryColumn({ type: 'timestamptz', transformer: instantTransformer, ...options });
}

const instantTransformer = {
  from: (value: Instant | null): Instant | null => value,
  to: (value: Instant | null | undefined): unknown =>
    typeof value === 'number' ? { toPostgres: () => formatInstant(value) } : value,
};

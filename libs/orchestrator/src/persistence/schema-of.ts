import type { DataSource } from 'typeorm';
import { checkedSchemaName } from './migrating/schema-name.js';

/** The schema a data source was opened on, for raw SQL: checked, so that it needs no quoting. */
export function schemaOf(dataSource: DataSource): string {
  const { schema } = dataSource.options as { readonly schema?: string };
  return checkedSchemaName(schema ?? '');
}

import type { DataSource } from 'typeorm';
import { checkedSchemaName } from './migrating/schema-name.js';

/** The schema a data source was opened on, as raw SQL writes it: checked, and quoted, because `order` is a name as well. */
export function schemaOf(dataSource: DataSource): string {
  const { schema } = dataSource.options as { readonly schema?: string };
  return `"${checkedSchemaName(schema ?? '')}"`;
}

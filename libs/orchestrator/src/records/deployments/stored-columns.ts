import { storableJson } from '../../persistence/storable-json.js';

/** `totalRunTimeUs` → `total_run_time_us`, as the naming strategy of the entities has it. */
const columnOf = (property: string): string => property.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();

/** The columns of these properties, as an `insert` lists them. */
export function columnsOf(properties: readonly string[], alias?: string): string {
  return properties.map((property) => (alias ? `${alias}.` : '') + columnOf(property)).join(', ');
}

/** The columns of these properties, as a `select` gives them under the names of the properties. */
export function selected(properties: readonly string[], alias: string): string {
  return properties.map((property) => `${alias}.${columnOf(property)} as "${property}"`).join(', ');
}

/**
 * A row as JSON for `json_populate_record`, which fills the columns from it by name.
 *
 * @param encoded columns whose text is JSON already, and is to stay as it is to the letter.
 */
export function rowAsJson(row: Readonly<Record<string, unknown>>, encoded: Readonly<Record<string, string>>): string {
  const plain = Object.entries(row).map(([property, value]) => `"${columnOf(property)}":${storableJson(value)}`);
  const raw = Object.entries(encoded).map(([property, text]) => `"${columnOf(property)}":${text}`);
  return `{${[...plain, ...raw].join(',')}}`;
}

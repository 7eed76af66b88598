import { DefaultNamingStrategy, type NamingStrategyInterface } from 'typeorm';

/** `flowRunId` in code is `flow_run_id` in the database; a table is named by its entity, explicitly. */
export class SnakeCaseNamingStrategy extends DefaultNamingStrategy implements NamingStrategyInterface {
  override columnName(propertyName: string, customName: string | undefined, embeddedPrefixes: string[]): string {
    const name = customName ?? snakeCase(propertyName);
    return [...embeddedPrefixes.map(snakeCase), name].join('_');
  }
}

/** `totalRunTimeUs` → `total_run_time_us`. */
function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
}

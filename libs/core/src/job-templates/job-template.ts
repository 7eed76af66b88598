import { schemaProblems, withDefaults, type SchemaProblem } from '../json-schema/schema-problems.js';
import { isJsonObject, type JsonObject } from './json-object.js';
import { filled, placeholdersOf } from './placeholders.js';

/** How the runs of a work pool are started, and what may be said about it run by run. */
export interface BaseJobTemplate {
  /** What whoever starts a run is told, with `{{ name }}` in the place of variables. */
  readonly job_configuration: JsonObject;
  /** The JSON schema of the variables: an object with `properties`, whose defaults hold where nothing else is said. */
  readonly variables: JsonObject;
}

/** What is wrong with a template, in words; empty when it can be used. */
export function jobTemplateProblems(template: unknown): string[] {
  if (!isJsonObject(template)) return ['it must be an object'];
  const { job_configuration: configuration = {}, variables = {} } = template;
  if (!isJsonObject(configuration)) return ['job_configuration must be an object'];
  if (!isJsonObject(variables)) return ['variables must be an object: the JSON schema of the variables'];
  const { properties = {} } = variables;
  if (!isJsonObject(properties)) return ['variables.properties must be an object'];
  return placeholdersOf(configuration)
    .filter((name) => !Object.hasOwn(properties, name))
    .map((name) => `job_configuration refers to "${name}", which is none of variables.properties`);
}

/**
 * The variables of a job: the defaults of the template, and over them what each layer says, the last one last.
 *
 * A value takes the place of the one before, but for `env`, whose entries are merged one by one. A key with dots
 * (`resources.cpu`) sets a value within an object, unless the template has a variable of that very name.
 *
 * @param layers such as the variables of a deployment, then those of its run; `null` says nothing.
 */
export function jobVariables(
  template: Partial<BaseJobTemplate>,
  ...layers: readonly (JsonObject | null)[]
): JsonObject {
  const schema = template.variables ?? {};
  const known = isJsonObject(schema.properties) ? schema.properties : {};
  let merged = withDefaults(schema, {}) as JsonObject;
  for (const layer of layers) {
    for (const [key, value] of Object.entries(layer ?? {})) {
      if (value === undefined) continue;
      const path = Object.hasOwn(known, key) ? [key] : key.split('.');
      merged = withValueAt(merged, path, key === 'env' ? withEntries(merged.env, value) : value);
    }
  }
  return merged;
}

/**
 * What is wrong with the variables of a job, by the schema of the template.
 *
 * @param lacking whether variables may be absent that the schema asks for: those of a deployment may, as its runs add theirs.
 */
export function jobVariableProblems(
  { variables = {} }: Partial<BaseJobTemplate>,
  given: JsonObject,
  { lacking = false }: { readonly lacking?: boolean } = {},
): SchemaProblem[] {
  const { required: _, ...optional } = variables;
  return schemaProblems({ type: 'object', ...(lacking ? optional : variables) }, given);
}

/**
 * What whoever starts a run is told: the configuration of the template, with the variables filled in. A value that is nothing but
 * a placeholder becomes the variable as it is, whatever its type; without one of that name it is left out. Values are not looked
 * through for placeholders again.
 */
export function jobConfiguration(template: Partial<BaseJobTemplate>, variables: JsonObject): JsonObject {
  return filled(template.job_configuration ?? {}, variables) as JsonObject;
}

function withEntries(before: unknown, value: unknown): unknown {
  return isJsonObject(before) && isJsonObject(value) ? { ...before, ...value } : value;
}

function withValueAt(object: JsonObject, path: readonly string[], value: unknown): JsonObject {
  const [name = '', ...rest] = path;
  if (rest.length === 0) return { ...object, [name]: value };
  const inner = object[name];
  return { ...object, [name]: withValueAt(isJsonObject(inner) ? inner : {}, rest, value) };
}

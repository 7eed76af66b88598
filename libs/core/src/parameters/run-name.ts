import { OrchestratorError } from '../errors/orchestrator-error.js';

/** A template for run names that cannot be read, or names a parameter that is not there. */
export class RunNameTemplateError extends OrchestratorError {
  readonly code = 'RUN_NAME_TEMPLATE';

  constructor(
    readonly template: string,
    problem: string,
  ) {
    super(`The run name ${JSON.stringify(template)} ${problem}`);
  }
}

/** `{{`, `}}`, a placeholder, or a brace that belongs to none of them. */
const PARTS = /\{\{|\}\}|\{([^{}]*)\}|[{}]/g;
const PATH = /^[\p{L}\p{N}_$]+(\.[\p{L}\p{N}_$]+)*$/u;

/**
 * The name of a run: its template with every `{name}` replaced by the parameter of that name. `{order.id}` and `{items.0}`
 * look into a parameter; `{{` and `}}` are braces. Text appears as it is, a date as ISO 8601, anything else as JSON.
 *
 * Only what a parameter itself holds can be named, nothing it inherits: a template shows data and calls nothing.
 *
 * @throws {RunNameTemplateError} when a placeholder names nothing that is there, or a brace stands alone.
 */
export function formatRunName(template: string, parameters: Readonly<Record<string, unknown>>): string {
  return template.replace(PARTS, (part: string, path: string | undefined) => {
    if (part === '{{' || part === '}}') return part.charAt(0);
    if (path === undefined) throw new RunNameTemplateError(template, `has a single "${part}"; write "${part}${part}".`);
    if (!PATH.test(path)) {
      throw new RunNameTemplateError(template, `has the placeholder {${path}}; write {name} or {name.field}.`);
    }
    return textOf(valueAt(template, path, parameters));
  });
}

function valueAt(template: string, path: string, parameters: Readonly<Record<string, unknown>>): unknown {
  let value: unknown = parameters;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) {
      const known = Object.keys(parameters).map((name) => `{${name}}`);
      const remedy = known.length > 0 ? `parameters are ${known.join(', ')}.` : 'there are no parameters.';
      throw new RunNameTemplateError(template, `has the placeholder {${path}}, which names nothing; ${remedy}`);
    }
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString();
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return `<${typeof value}>`; // it refers to itself, or holds a bigint: no reason not to run
  }
}

import { InvalidReferenceError } from './reference-errors.js';

/** A piece of a template: text as it is, or the steps of a path to a value. */
type TemplatePart = string | readonly [string, ...string[]];

const OPEN = '{{';
const CLOSE = '}}';
const PATH = /^[A-Za-z_][\w-]*(\.[\w-]+)*$/;

/**
 * The pieces of a text with `{{ path.to.a.value }}` in it. There is nothing else in templates: no conditions, no loops, no calls,
 * nothing that is executed.
 *
 * @throws {InvalidReferenceError} when something between braces is no path.
 */
export function partsOfTemplate(template: string): readonly TemplatePart[] {
  const fail = (problem: string): never => {
    throw new InvalidReferenceError(`The template ${JSON.stringify(template)}`, problem);
  };
  const parts: TemplatePart[] = [];
  let rest = template;
  for (let open = rest.indexOf(OPEN); open >= 0; open = rest.indexOf(OPEN)) {
    const close = rest.indexOf(CLOSE, open);
    if (close < 0) return fail('it has "{{" without "}}"');
    const expression = rest.slice(open + OPEN.length, close).trim();
    if (!PATH.test(expression)) return fail(`"${expression}" is no path such as variables.region`);
    if (open > 0) parts.push(rest.slice(0, open));
    parts.push(expression.split('.') as [string, ...string[]]);
    rest = rest.slice(close + CLOSE.length);
  }
  return rest === '' ? parts : [...parts, rest];
}

/** The part of a value that steps lead to; `undefined` where there is none. */
export function partAt(value: unknown, steps: readonly string[]): unknown {
  let part = value;
  for (const step of steps) {
    if (typeof part !== 'object' || part === null || !Object.hasOwn(part, step)) return undefined;
    part = (part as Record<string, unknown>)[step];
  }
  return part;
}

import { classCodec } from '@nestor/core';
import { blockOptionsOf, type BlockClass } from '../blocks/block-definition.js';
import { InvalidReferenceError } from './reference-errors.js';
import { partsOfTemplate } from './template-text.js';

/** What a reference refers to, as it is kept. */
export type ReferenceContent =
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'template'; readonly template: string }
  | { readonly kind: 'json'; readonly text: string | ReferenceContent }
  | { readonly kind: 'block'; readonly block: string; readonly path: readonly string[] };

/**
 * Stands in the parameters of a deployment, or of a schedule, for a value that is looked up for each run: see {@link variable},
 * {@link template}, {@link json} and {@link block}.
 *
 * @typeParam T the type of the value. `never` is taken for whatever the flow asks for.
 */
export class Reference<out T = never> {
  /** For the compiler alone. */
  declare protected readonly valueType: T;

  /** @internal */
  constructor(readonly content: ReferenceContent) {}

  /** For messages: `variable "region"`. */
  toString(): string {
    return nameOf(this.content);
  }

  /** The same as clients of the HTTP contract write it. */
  toJSON(): unknown {
    return wireForm(this.content);
  }
}

/** A value that a reference may stand for, or a reference in its place; in plain data, wherever in it. */
export type Referable<T> =
  | T
  | Reference<T>
  | (T extends (...args: never[]) => unknown
      ? never
      : T extends readonly (infer Item)[]
        ? readonly Referable<Item>[]
        : T extends object
          ? { readonly [Key in keyof T]: Referable<T[Key]> }
          : never);

/** Some of the parameters of a flow, by name, each of which may be a reference. */
export type ReferableParameters<P> = { readonly [Name in keyof P]?: Referable<P[Name]> };

const VARIABLE = /^[a-z0-9_-]{1,255}$/;
const BLOCK = /^[a-z0-9]+(-[a-z0-9]+)*\/[^/%&><\0]{1,255}$/;

/**
 * The value of a variable: see {@link Variables}. Looked up when a run is made; for a run of a schedule, when it begins.
 *
 * @typeParam T what the value is; it is not checked here.
 * @throws {InvalidReferenceError} when no variable can have that name.
 */
export function variable<T = never>(name: string): Reference<T> {
  if (!VARIABLE.test(name))
    throw new InvalidReferenceError(nameOf({ kind: 'variable', name }), 'no variable can be called that');
  return new Reference<T>({ kind: 'variable', name });
}

/**
 * A text with values in it, looked up when {@link variable} would be: `variables.<name>` (and parts of it, such
 * as `variables.shop.country`), `flow.name`, `deployment.name`, `deployment.id` and `deployment.version`. What is
 * no text is put in as JSON.
 *
 * @example
 * ```ts
 * template('Report for {{ variables.region }} by {{ deployment.name }}')
 * ```
 * @throws {InvalidReferenceError} when something between braces is no such path.
 */
export function template(text: string): Reference<string> {
  for (const part of partsOfTemplate(text)) if (typeof part !== 'string') assertKnown(text, part);
  return new Reference<string>({ kind: 'template', template: text });
}

/**
 * What a JSON text says, once the template, or the variable, that it may be is looked up: so that a value need not be a text.
 *
 * @example
 * ```ts
 * json<number[]>(template('[{{ variables.low }}, {{ variables.high }}]'))
 * ```
 * @throws {InvalidReferenceError} when the text is to be a block, which is kept nowhere.
 */
export function json<T = never>(text: string | Reference<string>): Reference<T> {
  if (typeof text === 'string') return new Reference<T>({ kind: 'json', text });
  const { content } = text;
  if (content.kind === 'template' || content.kind === 'variable')
    return new Reference<T>({ kind: 'json', text: content });
  throw new InvalidReferenceError(nameOf({ kind: 'json', text: content }), 'its text may be a template or a variable');
}

/**
 * A block, or a field of it: see {@link Blocks}. Loaded each time the run begins and never kept with it, so that secrets are
 * where they were; they arrive as {@link Secret}. Where its class is known to the process it is an instance of that.
 *
 * @param type the class of the block; or slug and name of the block, such as `mail-server/main`, and then the path of a field.
 * @throws {NotABlockError} when the class is none, {@link InvalidReferenceError} when no block can have that name.
 */
export function block<T = never>(slugAndName: `${string}/${string}`, path?: string): Reference<T>;
export function block<T extends object>(type: BlockClass<T>, name: string): Reference<T>;
export function block<T extends object, Field extends keyof T & string>(
  type: BlockClass<T>,
  name: string,
  field: Field,
): Reference<T[Field]>;
export function block(type: BlockClass | string, nameOrPath?: string, field?: string): Reference {
  const [name, path] =
    typeof type === 'string' ? [type, nameOrPath] : [`${blockOptionsOf(type).slug}/${nameOrPath}`, field];
  const content = { kind: 'block', block: name, path: path === undefined ? [] : path.split('.') } as const;
  if (!BLOCK.test(name))
    throw new InvalidReferenceError(
      nameOf(content),
      'a block is named by its slug and its name, as in "mail-server/main"',
    );
  return new Reference(content);
}

/** How references are kept: as themselves, so that nothing that only looks like one is taken for one. */
export const REFERENCE_CODEC = classCodec({
  name: 'nestor.reference',
  type: Reference,
  encode: ({ content }: Reference<unknown>): ReferenceContent => content,
  decode: (content) => new Reference<unknown>(content),
});

function assertKnown(text: string, [first, second, ...rest]: readonly string[]): void {
  const isKnown =
    (first === 'variables' && second !== undefined && VARIABLE.test(second)) ||
    (rest.length === 0 && first === 'flow' && second === 'name') ||
    (rest.length === 0 && first === 'deployment' && ['name', 'id', 'version'].includes(second ?? ''));
  if (isKnown) return;
  const path = [first, ...(second === undefined ? [] : [second]), ...rest].join('.');
  const known = 'variables.<name>, flow.name, deployment.name, deployment.id and deployment.version';
  throw new InvalidReferenceError(`The template ${JSON.stringify(text)}`, `"${path}" is not known; there are ${known}`);
}

function nameOf(content: ReferenceContent): string {
  switch (content.kind) {
    case 'variable':
      return `Variable "${content.name}"`;
    case 'template':
      return `The template ${JSON.stringify(content.template)}`;
    case 'json':
      return `The JSON of ${typeof content.text === 'string' ? 'a text' : nameOf(content.text)}`;
    case 'block':
      return `${content.path.length > 0 ? `"${content.path.join('.')}" of block` : 'Block'} "${content.block}"`;
  }
}

function wireForm(content: ReferenceContent): unknown {
  switch (content.kind) {
    case 'variable':
      return { __prefect_kind: 'workspace_variable', variable_name: content.name };
    case 'template':
      return { __prefect_kind: 'jinja', template: content.template };
    case 'json':
      return {
        __prefect_kind: 'json',
        value: typeof content.text === 'string' ? content.text : wireForm(content.text),
      };
    case 'block':
      return { $ref: { block: content.block, ...(content.path.length > 0 && { path: content.path.join('.') }) } };
  }
}

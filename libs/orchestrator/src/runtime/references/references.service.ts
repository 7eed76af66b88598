import { Injectable } from '@nestjs/common';
import { Blocks } from '../blocks/blocks.service.js';
import { Secret } from '../secrets/secret.js';
import { Variables } from '../variables/variables.service.js';
import { InvalidReferenceError, ReferenceUnresolvedError } from './reference-errors.js';
import { Reference, type ReferenceContent } from './reference.js';
import { referencesIn, withValues } from './referring-data.js';
import { partAt, partsOfTemplate } from './template-text.js';

type Parameters = Readonly<Record<string, unknown>>;

/** What templates may name besides variables. */
export interface TemplateContext {
  readonly flow: { readonly name: string };
  /** What is not there where it has been deleted since. */
  readonly deployment: {
    readonly id?: string | undefined;
    readonly name?: string | undefined;
    readonly version?: string | null | undefined;
  };
}

/** Looks up what references in parameters refer to. */
@Injectable()
export class References {
  constructor(
    private readonly variables: Variables,
    private readonly blocks: Blocks,
  ) {}

  /**
   * Parameters with what may be kept of a run in the place of references: variables, templates and JSON. Blocks are left,
   * for the process that executes the run.
   *
   * @throws {VariableNotFoundError} when a variable is missing, {@link ReferenceUnresolvedError} when a part of one
   * is, or a text is no JSON.
   */
  settled<P extends Parameters>(parameters: P, context: TemplateContext): Promise<P> {
    return this.replaced(parameters, (content) =>
      content.kind === 'block' ? undefined : this.valueOf(content, context),
    );
  }

  /**
   * Parameters with blocks in the place of what refers to them.
   *
   * @throws {BlockNotFoundError} when one is missing, {@link ReferenceUnresolvedError} when a part of it is, and what
   * {@link Blocks.load} throws.
   */
  opened<P extends Parameters>(parameters: P): Promise<P> {
    return this.replaced(parameters, (content) => (content.kind === 'block' ? this.blockOf(content) : undefined));
  }

  /**
   * Data with values in the place of `{{ … }}` in its texts: `variables.<name>`, and `blocks.<slug>.<name>.<field>` with the
   * secrets of blocks in clear. Either may have `prefect.` before it. A text that is nothing but one becomes the value as it
   * is. For what is sent away, and neither kept nor logged.
   *
   * @param revealed told of each secret, for whoever is not to repeat it.
   * @throws {InvalidReferenceError} when something between braces is neither, and what looking it up throws.
   */
  async revealedIn(data: unknown, revealed: (secret: unknown) => void): Promise<unknown> {
    if (typeof data === 'string') return this.revealed(data, revealed);
    if (Array.isArray(data)) return Promise.all(data.map((item) => this.revealedIn(item, revealed)));
    if (typeof data !== 'object' || data === null) return data;
    const fields = Object.entries(data).map(
      async ([name, field]) => [name, await this.revealedIn(field, revealed)] as const,
    );
    return Object.fromEntries(await Promise.all(fields));
  }

  private async revealed(text: string, revealed: (secret: unknown) => void): Promise<unknown> {
    if (!text.includes('{{')) return text;
    const parts = await Promise.all(
      partsOfTemplate(text).map(async (part) => {
        if (typeof part === 'string') return part;
        const value = await this.looked(part, text);
        if (!(value instanceof Secret)) return value;
        const secret = (value as Secret<unknown>).reveal();
        revealed(secret);
        return secret;
      }),
    );
    return parts.length === 1
      ? parts[0]
      : parts.map((part) => (typeof part === 'string' ? part : shown(part))).join('');
  }

  private async looked(path: readonly string[], text: string): Promise<unknown> {
    const [first, second = '', ...rest] = path[0] === 'prefect' ? path.slice(1) : path;
    const subject = `The template ${JSON.stringify(text)}`;
    const isKnown = (first === 'variables' && second !== '') || (first === 'blocks' && rest.length > 0);
    if (!isKnown) {
      const known = 'variables.<name> and blocks.<slug>.<name>.<field>';
      throw new InvalidReferenceError(subject, `"${path.join('.')}" is not known; there are ${known}`);
    }
    const value =
      first === 'variables'
        ? partAt(await this.variables.get(second), rest)
        : partAt(await this.blocks.open(second, rest[0] ?? ''), rest.slice(1));
    if (value === undefined) throw new ReferenceUnresolvedError(subject, `there is no "${path.join('.')}"`);
    return value;
  }

  private async replaced<P extends Parameters>(
    parameters: P,
    lookUp: (content: ReferenceContent) => Promise<unknown> | undefined,
  ): Promise<P> {
    const values = new Map<Reference<unknown>, unknown>();
    for (const { reference } of referencesIn(parameters)) {
      const value = lookUp(reference.content);
      if (value !== undefined) values.set(reference, await value);
    }
    return values.size === 0 ? parameters : (withValues(parameters, values) as P);
  }

  private async valueOf(
    content: Exclude<ReferenceContent, { kind: 'block' }>,
    context: TemplateContext,
  ): Promise<unknown> {
    switch (content.kind) {
      case 'variable':
        return this.variables.get(content.name);
      case 'template':
        return this.filledIn(content.template, context);
      case 'json':
        return parsed(content, await this.textOf(content.text, context));
    }
  }

  private async textOf(text: string | ReferenceContent, context: TemplateContext): Promise<string> {
    if (typeof text === 'string') return text;
    if (text.kind === 'block') throw new InvalidReferenceError(String(new Reference(text)), 'a block is no JSON text');
    const value = await this.valueOf(text, context);
    return typeof value === 'string' ? value : shown(value);
  }

  private async filledIn(template: string, context: TemplateContext): Promise<string> {
    let text = '';
    for (const part of partsOfTemplate(template)) {
      if (typeof part === 'string') text += part;
      else {
        const [first, second = '', ...rest] = part;
        const value =
          first === 'variables'
            ? partAt(await this.variables.get(second), rest)
            : partAt({ ...context }, [first, second, ...rest]);
        if (value === undefined) {
          const problem = `there is no "${part.join('.')}"`;
          throw new ReferenceUnresolvedError(String(new Reference({ kind: 'template', template })), problem);
        }
        text += typeof value === 'string' ? value : shown(value);
      }
    }
    return text;
  }

  private async blockOf(content: Extract<ReferenceContent, { kind: 'block' }>): Promise<unknown> {
    const { block, path } = content;
    const slash = block.indexOf('/');
    const document = await this.blocks.open(block.slice(0, slash), block.slice(slash + 1));
    const part = partAt(document, path);
    if (part !== undefined) return part;
    throw new ReferenceUnresolvedError(String(new Reference(content)), 'the block has no such field');
  }
}

function parsed(content: ReferenceContent, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new ReferenceUnresolvedError(String(new Reference(content)), 'it is no JSON');
  }
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? '';
}

import {
  defineBlock,
  defineSecretField,
  type BlockClass,
  type BlockOptions,
} from '../runtime/blocks/block-definition.js';
import { InvalidOptionError } from './resolve-options.js';

const SLUG = /^[a-z0-9]+(-[a-z0-9]+)*$/;
/** Characters that the HTTP contract gives a meaning of their own in names. */
const NAME = /^[^/%&><\0]{1,200}$/;

/**
 * Makes a class a block: a configuration document that is kept in the database under a name, and loaded by {@link Blocks}.
 * Its fields are validated by the decorators of class-validator, where that is installed; those that are secret are marked
 * with {@link SecretField}.
 *
 * @throws {InvalidOptionError} when the slug or the name cannot be meant.
 * @example
 * ```ts
 * @Block({ slug: 'mail-server', name: 'Mail server' })
 * export class MailServer {
 *   @IsString() host!: string;
 *   @IsInt() port = 587;
 *   @SecretField() password!: Secret;
 * }
 * ```
 */
export function Block(options: BlockOptions) {
  return (target: BlockClass): void => {
    if (!SLUG.test(options.slug)) {
      const problem = `is ${JSON.stringify(options.slug)} and must have lower-case letters, digits and dashes between them.`;
      throw new InvalidOptionError(target.name, 'slug', problem);
    }
    if (options.name !== undefined && !NAME.test(options.name)) {
      const problem = `is ${JSON.stringify(options.name)} and must have 1 to 200 characters, none of them / % & < > or NUL.`;
      throw new InvalidOptionError(target.name, 'name', problem);
    }
    defineBlock(target, options);
  };
}

/**
 * Marks a field of a block as secret. It holds a {@link Secret}, which is encrypted at rest and shows its value only to who
 * asks for it; a plain value in its place is refused, so that none is ever kept in clear.
 *
 * @param options `optional`: whether the field may be absent; default no.
 */
export function SecretField({ optional = false }: { readonly optional?: boolean } = {}) {
  return (prototype: object, field: string): void => defineSecretField(prototype, field, { optional });
}

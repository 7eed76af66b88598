import 'reflect-metadata';
import { NotABlockError } from './block-errors.js';

/** What a class says about the documents of its type. */
export interface BlockOptions {
  /** Names the type, in lower-case letters, digits and dashes. Never change it while documents live. */
  readonly slug: string;
  /** For people. Default: the name of the class. */
  readonly name?: string;
  readonly description?: string;
  readonly logoUrl?: string;
  readonly documentationUrl?: string;
  readonly codeExample?: string;
  /** What its documents are good for, for whoever looks for that: `notify`. Default: none. */
  readonly capabilities?: readonly string[];
  /** Stands beside the schema. Default `non-versioned`. */
  readonly version?: string;
}

/** A class whose instances are configuration documents: constructed without arguments, then given their fields. */
export type BlockClass<T extends object = object> = new () => T;

/** A field that must hold a secret, and whether it may hold nothing. */
interface SecretFieldOptions {
  readonly optional: boolean;
}

/** By their slugs, for those who know no more of a block; of several with one slug the one that was decorated last. */
const classes = new Map<string, BlockClass>();

const OPTIONS = Symbol('nestor.block');
const SECRETS = Symbol('nestor.block.secret-fields');

/** Notes what a class says; `@Block()` does. */
export function defineBlock(target: BlockClass, options: BlockOptions): void {
  Reflect.defineMetadata(OPTIONS, options, target);
  classes.set(options.slug, target);
}

/** The class of a slug; `undefined` where this process has none. */
export function blockClassOf(slug: string): BlockClass | undefined {
  return classes.get(slug);
}

/** @throws {NotABlockError} when it says nothing; a subclass speaks for itself. */
export function blockOptionsOf(target: BlockClass): BlockOptions {
  const options = Reflect.getOwnMetadata(OPTIONS, target) as BlockOptions | undefined;
  if (!options) throw new NotABlockError(target.name);
  return options;
}

/** Notes that a field holds a secret; `@SecretField()` does. */
export function defineSecretField(prototype: object, field: string, options: SecretFieldOptions): void {
  const inherited = secretFieldsOf(prototype.constructor);
  Reflect.defineMetadata(SECRETS, new Map([...inherited, [field, options]]), prototype.constructor);
}

/** The fields of a class, and of those it extends, that hold secrets. */
export function secretFieldsOf(target: object): ReadonlyMap<string, SecretFieldOptions> {
  return (Reflect.getMetadata(SECRETS, target) as Map<string, SecretFieldOptions> | undefined) ?? new Map();
}

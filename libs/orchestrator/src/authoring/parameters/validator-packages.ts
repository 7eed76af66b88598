import type * as ClassTransformer from 'class-transformer';
import type * as ClassValidator from 'class-validator';

type Validator = Pick<typeof ClassValidator, 'validate' | 'getMetadataStorage'>;
type Transformer = Pick<typeof ClassTransformer, 'plainToInstance'>;

/** What `@Type(() => Item, { … })` has noted of a property. */
interface TypeMetadata {
  readonly typeFunction?: () => unknown;
  readonly options?: { readonly discriminator?: unknown };
}

interface TransformerStorage {
  findTypeMetadata(target: unknown, propertyName: string): TypeMetadata | undefined;
}

/** The packages whose decorators describe parameters. */
interface ValidatorPackages {
  readonly validator: Validator;
  readonly transformer: Transformer;
  /** `null` where this release of class-transformer keeps it elsewhere: then types given by `@Type()` stay unknown. */
  readonly types: TransformerStorage | null;
}

let packages: ValidatorPackages | null | undefined;

/**
 * The packages of the host, whose decorators it has used; `null` when it has not installed both.
 *
 * They are loaded by `require`, at once: either is a CommonJS package, which an ES module that imports it shares with us.
 */
export function validatorPackages(): ValidatorPackages | null {
  if (packages === undefined) packages = loadPackages();
  return packages;
}

/* eslint-disable @typescript-eslint/no-require-imports -- optional, and bundlers follow a `require` of a literal alone */

function loadPackages(): ValidatorPackages | null {
  const validator = ifInstalled('class-validator', () => require('class-validator') as Validator);
  const transformer = ifInstalled('class-transformer', () => require('class-transformer') as Transformer);
  return validator && transformer && { validator, transformer, types: loadTypes() };
}

/** Its index does not export this, and the package has not moved for years; Nest's own packages look here as well. */
function loadTypes(): TransformerStorage | null {
  const path = 'class-transformer/cjs/storage';
  const load = (): unknown => require('class-transformer/cjs/storage');
  const storage = ifInstalled(path, load) as { defaultMetadataStorage?: TransformerStorage } | null;
  return storage?.defaultMetadataStorage ?? null;
}

/* eslint-enable @typescript-eslint/no-require-imports */

/** `null` when there is no such module; a module that is there and cannot be loaded is an error. */
function ifInstalled<T>(name: string, load: () => T): T | null {
  try {
    return load();
  } catch (error) {
    const { code, message = '' } = error as { code?: unknown; message?: string };
    const isMissing = code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`);
    if (isMissing || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return null;
    throw error;
  }
}

import type * as ClassTransformer from 'class-transformer';
import type * as ClassValidator from 'class-validator';

type Validator = Pick<typeof ClassValidator, 'validate' | 'getMetadataStorage'>;
type Transformer = Pick<typeof ClassTransformer, 'plainToInstance'>;

/** What `@Type(() => Item, { … })` has noted of a property. */
interface TypeMetadata {
  readonly typeFunction?: () => unknown;
  readonly options?: { readonly discriminator?: unknown };
}

interface TypeStorage {
  findTypeMetadata(target: unknown, propertyName: string): TypeMetadata | undefined;
}

// The packages of the host, whose decorators it has used. Both are optional: whoever decorates fields has them. They are loaded
// by `require`, at once: either is a CommonJS package, which an ES module that imports it shares with us; `import()` is not to be
// had in every host, such as Jest.
/* eslint-disable @typescript-eslint/no-require-imports -- see above, and bundlers follow a `require` of a literal alone */

/** What checks instances by the rules of their class; `null` when it is not installed. */
export const classValidator = onceLoaded<Validator>('class-validator', () => require('class-validator'));

/** What makes instances of data; `null` when it is not installed. */
export const classTransformer = onceLoaded<Transformer>('class-transformer', () => require('class-transformer'));

/** Its index does not export this, and the package has not moved for years; Nest's own packages look here as well. */
const storageModule = onceLoaded<{ readonly defaultMetadataStorage?: TypeStorage }>(
  'class-transformer/cjs/storage',
  () => require('class-transformer/cjs/storage'),
);

/* eslint-enable @typescript-eslint/no-require-imports */

/** `null` where this release of class-transformer keeps it elsewhere: then types given by `@Type()` stay unknown. */
export function typeStorage(): TypeStorage | null {
  return storageModule()?.defaultMetadataStorage ?? null;
}

/** Both of them; `null` when the host has not installed both. */
export function validatorPackages(): { readonly validator: Validator; readonly transformer: Transformer } | null {
  const validator = classValidator();
  const transformer = classTransformer();
  return validator && transformer && { validator, transformer };
}

/** `null` when there is no such module; a module that is there and cannot be loaded is an error. */
function onceLoaded<T>(name: string, load: () => unknown): () => T | null {
  let loaded: T | null | undefined;
  return () => (loaded === undefined ? (loaded = ifInstalled(name, load) as T | null) : loaded);
}

function ifInstalled(name: string, load: () => unknown): unknown {
  try {
    return load();
  } catch (error) {
    const { code, message = '' } = error as { code?: unknown; message?: string };
    const isMissing = code === 'MODULE_NOT_FOUND' && message.includes(`'${name}'`);
    if (isMissing || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return null;
    throw error;
  }
}

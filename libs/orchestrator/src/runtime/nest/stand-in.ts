import 'reflect-metadata';

/** Makes a function that is to stand in for a method look like it: by name, by length, and by what decorators have put on it. */
export function standInFor(method: Named, standIn: Named): void {
  for (const key of Reflect.getMetadataKeys(method) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, method), standIn);
  }
  Object.defineProperty(standIn, 'name', { value: method.name, configurable: true });
  Object.defineProperty(standIn, 'length', { value: method.length, configurable: true });
}

type Named = object & { readonly name: string; readonly length: number };

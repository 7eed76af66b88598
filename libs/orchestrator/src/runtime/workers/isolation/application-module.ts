import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { OrchestratorError } from '@nestor/core';
import type { DynamicModule, Type } from '@nestjs/common';

type NestModule = Type | DynamicModule;

/** What `@Module()` leaves on a class. */
const MODULE_METADATA = ['imports', 'providers', 'controllers', 'exports'];

/** The file of option `worker.application` has no module in it that could be started. */
export class WorkerApplicationError extends OrchestratorError {
  readonly code = 'WORKER_APPLICATION_INVALID';

  constructor(
    readonly file: string,
    problem: string,
  ) {
    super(
      `${file}, which option "worker.application" names, ${problem}; let it export a Nest module, or have as its default export one, ` +
        `or a function that gives one.`,
    );
  }
}

/**
 * The module that a file exports: its default export, or what that gives when it is called; else the only
 * module among its exports.
 *
 * @throws {WorkerApplicationError} when there is none.
 */
export async function applicationModule(file: string): Promise<NestModule> {
  const exported = await load(file);
  const chosen = exported.default ?? onlyModuleOf(file, exported);
  const given: unknown = isFactory(chosen) ? await chosen() : chosen;
  if (!isModule(given)) throw new WorkerApplicationError(file, 'exports no Nest module');
  return given;
}

/** With `require`, so that whatever compiles the host while it is loaded does the same here. */
async function load(file: string): Promise<Record<string, unknown>> {
  try {
    return createRequire(__filename)(file) as Record<string, unknown>;
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_REQUIRE_ASYNC_MODULE') throw error;
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  }
}

function onlyModuleOf(file: string, exported: Record<string, unknown>): unknown {
  const modules = [...new Set(Object.values(exported).filter(hasModuleMetadata))];
  if (modules.length > 1) throw new WorkerApplicationError(file, `exports ${modules.length} Nest modules`);
  return modules[0];
}

const isClass = (value: unknown): value is Type =>
  typeof value === 'function' && Function.prototype.toString.call(value).startsWith('class');

const isFactory = (value: unknown): value is () => unknown => typeof value === 'function' && !isClass(value);

const hasModuleMetadata = (value: unknown): boolean =>
  isClass(value) && MODULE_METADATA.some((key) => Reflect.hasMetadata(key, value));

const isModule = (value: unknown): value is NestModule =>
  isClass(value) || (typeof value === 'object' && value !== null && isClass((value as Partial<DynamicModule>).module));

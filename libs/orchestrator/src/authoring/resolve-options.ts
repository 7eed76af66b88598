import { createHash } from 'node:crypto';
import { durationMs, formatRunName, OrchestratorError, retryPolicyOf, type CachePolicy } from '@nestor/core';
import { argumentsOf, parametersOf } from '../runtime/engine/parameters.js';
import type { AuthoredMethod, RunSettings, TaskCaching } from '../runtime/registry/definitions.js';
import type { RunOptions } from './run.options.js';
import type { TaskOptions } from './task.options.js';

/** An option of `@Flow()`, `@Task()`, a call or the module has a value that cannot be meant. */
export class InvalidOptionError extends OrchestratorError {
  readonly code = 'INVALID_OPTION';

  constructor(
    /** `Class.method`, or `OrchestratorModule`. */
    readonly place: string,
    readonly option: string,
    problem: string,
  ) {
    super(`Option "${option}" of ${place} ${problem}`);
  }
}

/**
 * Characters that the HTTP contract and its clients give a meaning of their own in names, and NUL,
 * which no text column holds.
 */
const BANNED_IN_NAMES = /[/%&<>\0]/;
const MAX_NAME = 200;
const MAX_TAGS = 100;
const VERSION_LENGTH = 12;

/** The name of a definition. @throws {InvalidOptionError} when it is empty, too long, or has banned characters. */
export function resolvedName(name: string | undefined, fallback: string, place: string): string {
  if (name === undefined) return fallback;
  const problem =
    name.trim() === '' || name.length > MAX_NAME
      ? `must have 1 to ${MAX_NAME} characters.`
      : BANNED_IN_NAMES.test(name)
        ? `is ${JSON.stringify(name)} and must not contain any of / % & < > or NUL; use dashes.`
        : null;
  if (problem) throw new InvalidOptionError(place, 'name', problem);
  return name;
}

/** The options that a call may change as well. */
type SettingOptions = Pick<
  RunOptions & TaskOptions,
  | ('retries' | 'retryDelay' | 'retryJitter' | 'retryCondition' | 'timeout' | 'tags' | 'runName' | 'persistResult')
  | ('cachePolicy' | 'cacheKey' | 'resultKey' | 'cacheExpiration' | 'refreshCache' | 'cacheIsolation')
  | 'captureConsole'
>;

/**
 * What options say about how runs go.
 *
 * @throws {InvalidOptionError} when a name, a tag or a version is empty, too long or not a text.
 * @throws {InvalidRetryPolicyError} when retries cannot be meant.
 * @throws {InvalidDurationError} when a delay or the timeout is no duration.
 */
export function resolvedSettings(options: SettingOptions, place: string): RunSettings {
  const { retries = 0, retryDelay, retryJitter, retryCondition = null, timeout } = options;
  if (!Number.isInteger(retries) || retries < 0) {
    throw new InvalidOptionError(place, 'retries', `is ${retries} and must be a whole number from 0.`);
  }
  return {
    policy: retryPolicyOf(
      {
        retries,
        ...(retryDelay !== undefined && { retryDelay }),
        ...(retryJitter !== undefined && { retryJitter }),
      },
      place,
    ),
    retryCondition,
    timeoutMs: timeout === undefined ? null : durationMs(timeout, `timeout of ${place}`),
    tags: resolvedTags(options.tags, place),
    runName: resolvedRunName(options.runName, place),
    persistResult: options.persistResult ?? null,
    caching: resolvedCaching(options, place),
    captureConsole: options.captureConsole ?? null,
  };
}

function resolvedCaching(options: SettingOptions, place: string): TaskCaching | null {
  const { cacheExpiration, refreshCache = null, cacheIsolation = 'read-committed', persistResult } = options;
  const policy = resolvedCachePolicy(options, place);
  if (policy === null || policy.kind === 'none') return null;
  if (persistResult === false) {
    throw new InvalidOptionError(place, 'persistResult', 'is false, but its outcome is to be remembered; choose one.');
  }
  if (cacheIsolation !== 'read-committed' && cacheIsolation !== 'serializable') {
    const problem = `is ${String(cacheIsolation)} and must be "read-committed" or "serializable".`;
    throw new InvalidOptionError(place, 'cacheIsolation', problem);
  }
  return {
    policy,
    expirationMs: cacheExpiration === undefined ? null : durationMs(cacheExpiration, `cacheExpiration of ${place}`),
    refresh: refreshCache,
    isSerialized: cacheIsolation === 'serializable',
  };
}

function resolvedCachePolicy({ cachePolicy, cacheKey, resultKey }: SettingOptions, place: string): CachePolicy | null {
  const given = Object.entries({ cachePolicy, cacheKey, resultKey }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => name).join(' and ');
    throw new InvalidOptionError(place, given[0]?.[0] ?? '', `is given beside others (${names}); give one of them.`);
  }
  if (resultKey !== undefined) {
    resolvedText('resultKey', resultKey, place);
    return { kind: 'function', keyOf: (inputs) => formatRunName(resultKey, inputs) };
  }
  if (cacheKey !== undefined) {
    const keyOf = cacheKey as (...args: readonly unknown[]) => string | null;
    return { kind: 'function', keyOf: (inputs) => keyOf(...argumentsOf(inputs)) };
  }
  return cachePolicy ?? null;
}

/** What tells the source of a method apart, and the version: the one that was given, else that. */
export function resolvedVersion(
  version: string | undefined,
  method: AuthoredMethod,
  place: string,
): { readonly source: string; readonly version: string } {
  const source = createHash('sha256').update(method.toString()).digest('hex').slice(0, VERSION_LENGTH);
  return { source, version: version === undefined ? source : resolvedText('version', version, place) };
}

/** Tags, each once. @throws {InvalidOptionError} when there are too many, or one cannot be kept. */
export function resolvedTags(tags: readonly string[] = [], place: string): readonly string[] {
  if (tags.length > MAX_TAGS) {
    throw new InvalidOptionError(place, 'tags', `has ${tags.length} entries; ${MAX_TAGS} are allowed.`);
  }
  return [...new Set(tags.map((tag) => resolvedText('tags', tag, place)))];
}

function resolvedText(option: string, text: string, place: string): string {
  const isFine = typeof text === 'string' && text.length > 0 && text.length <= MAX_NAME && !text.includes('\0');
  if (isFine) return text;
  throw new InvalidOptionError(place, option, `must have 1 to ${MAX_NAME} characters and no NUL among them.`);
}

/** A name that is made is cut rather than refused: what it is made of is known only when a run is created. */
function resolvedRunName(runName: RunOptions['runName'], place: string): RunSettings['runName'] {
  if (runName === undefined) return null;
  if (typeof runName === 'string') {
    resolvedText('runName', runName, place);
    return (args) => keepable(formatRunName(runName, parametersOf(args)));
  }
  return (args) => keepable((runName as (...args: readonly unknown[]) => string)(...args));
}

function keepable(name: unknown): string {
  const text = String(name).replaceAll('\0', '').slice(0, MAX_NAME);
  return text === '' ? 'unnamed' : text;
}

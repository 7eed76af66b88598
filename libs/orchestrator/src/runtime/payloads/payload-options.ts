import { ClassRegistry, type ClassCodec, type ErrorClass } from '@nestor/core';
import { REFERENCE_CODEC } from '../references/reference.js';
import { HTTP_EXCEPTIONS } from './http-exceptions.js';
import type { PayloadCodec } from './payload-codec.js';
import { InvalidPayloadOptionError } from './payload-errors.js';
import type { PayloadStore } from './payload-store.js';

/** How parameters, results and errors are kept. */
export interface PayloadOptions {
  /**
   * What is larger than so many bytes does not go into the row of its run but into the store. Default 65,536: beyond it a
   * batch of a thousand outcomes is a statement of more than 64 MB.
   */
  readonly inlineLimit?: number;
  /**
   * What is larger than so many bytes is refused with {@link PayloadTooLargeError}. Default 67,108,864 (64 MiB), because
   * writing one and reading it back was measured to take seven times its size in memory; at most 262,144,000 (250 MiB),
   * because of the longest text there can be.
   */
  readonly maxBytes?: number;
  /** Where large payloads go. Default: a table of our schema. */
  readonly store?: PayloadStore;
  /** Changes the form of all payloads, in rows and in the store; several are applied in this order. Default: none. */
  readonly codec?: PayloadCodec | readonly PayloadCodec[];
}

/** The options that are about payloads. */
interface GivenOptions {
  readonly codecs?: readonly ClassCodec[];
  readonly errors?: readonly ErrorClass[];
  readonly payloads?: PayloadOptions;
}

/** The same with every default filled in. */
export interface PayloadSettings {
  readonly classes: ClassRegistry;
  readonly inlineLimit: number;
  readonly maxBytes: number;
  /** `null` for our table. */
  readonly store: PayloadStore | null;
  readonly codecs: readonly PayloadCodec[];
}

/** Injection token of the {@link PayloadSettings}. */
export const PAYLOAD_SETTINGS = Symbol('nestor.payload-settings');

/** The store that every process has: payloads that went there stay readable when another store is configured. */
export const DATABASE_STORE = 'database';

/** What stands in the place of a store where a list is kept as inputs of its run, item by item. */
export const BATCH_STORE = 'batch';

const DEFAULT_INLINE_LIMIT = 64 * 1024;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
/** `pg` reads a `bytea` as two digits per byte, and V8 has no text of 2^29 characters. */
const GREATEST_MAX_BYTES = 250 * 1024 * 1024;
const NAME = /^[\w.:-]{1,100}$/;

/**
 * @throws {InvalidPayloadOptionError} when an option cannot be meant.
 * @throws {ClassRegisteredTwiceError} and {@link InvalidClassCodecError} when a class cannot be registered.
 */
export function payloadSettings({ codecs, errors = [], payloads = {} }: GivenOptions): PayloadSettings {
  const { inlineLimit = DEFAULT_INLINE_LIMIT, maxBytes = DEFAULT_MAX_BYTES, store = null, codec = [] } = payloads;
  checkBytes('payloads.maxBytes', maxBytes, 1, GREATEST_MAX_BYTES);
  checkBytes('payloads.inlineLimit', inlineLimit, 0, maxBytes);
  const payloadCodecs = isList(codec) ? [...codec] : [codec];
  const names = payloadCodecs.map(({ name }) => name);
  names.forEach((name, index) => {
    checkName('payloads.codec', name);
    if (names.indexOf(name) !== index) throw new InvalidPayloadOptionError('payloads.codec', `names "${name}" twice`);
  });
  if (store) {
    checkName('payloads.store', store.name);
    if (store.name === DATABASE_STORE || store.name === BATCH_STORE) {
      throw new InvalidPayloadOptionError('payloads.store', `is called "${store.name}", as one of our tables is`);
    }
  }
  const classes = new ClassRegistry([REFERENCE_CODEC, ...(codecs ?? [])], [...errors, ...httpExceptionsBeside(errors)]);
  return { classes, inlineLimit, maxBytes, store, codecs: payloadCodecs };
}

/** A class of the application that has the name of one of Nest's takes its place. */
function httpExceptionsBeside(errors: readonly ErrorClass[]): ErrorClass[] {
  const taken = new Set(errors.filter((type) => typeof type === 'function').map(({ name }) => name));
  return HTTP_EXCEPTIONS.filter(({ name }) => !taken.has(name));
}

function isList(codec: PayloadCodec | readonly PayloadCodec[]): codec is readonly PayloadCodec[] {
  return Array.isArray(codec);
}

function checkBytes(option: string, bytes: number, least: number, most: number): void {
  if (Number.isInteger(bytes) && bytes >= least && bytes <= most) return;
  const problem = `is ${String(bytes)}; it must be a whole number of bytes from ${least} to ${most}`;
  throw new InvalidPayloadOptionError(option, problem);
}

function checkName(option: string, name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return;
  const problem = `is called "${String(name)}"; a name has 1 to 100 letters, digits and the signs _ . : -`;
  throw new InvalidPayloadOptionError(option, problem);
}

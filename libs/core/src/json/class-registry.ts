import { OrchestratorError } from '../errors/orchestrator-error.js';
import { LANGUAGE_ERRORS } from './language-errors.js';

/** How instances of one class are written down and made again. See {@link classCodec}. */
export interface ClassCodec {
  /** What recorded instances are known by. Never change it while records live; the class itself may be renamed. */
  readonly name: string;
  readonly type: Class;
  /** Anything that can be recorded: plain data, or values that are instances of registered classes themselves. */
  encode(instance: object): unknown;
  /** The inverse. What it gets comes from the database: check what an attacker or an older release might have put there. */
  decode(data: unknown): object;
}

type Class<T extends object = object> = abstract new (...args: never[]) => T;

/** A class of errors. */
export type ErrorClass = Class<Error>;

/** Two codecs, or two error classes, have one name, so that a record could not be told whose it is. */
export class ClassRegisteredTwiceError extends OrchestratorError {
  readonly code = 'CLASS_REGISTERED_TWICE';

  constructor(
    readonly className: string,
    readonly option: 'codecs' | 'errors',
  ) {
    super(
      `Option "${option}" names "${className}" twice; ` +
        (option === 'codecs'
          ? 'give each class one codec, and each codec a name of its own.'
          : 'rename one of the classes, or give it a codec with a name of its own.'),
    );
  }
}

/** A codec or error class cannot be registered as it is. */
export class InvalidClassCodecError extends OrchestratorError {
  readonly code = 'INVALID_CLASS_CODEC';

  constructor(
    readonly className: string,
    readonly problem: string,
  ) {
    super(`"${className}" cannot be registered: ${problem}.`);
  }
}

/**
 * A codec whose functions know the class.
 *
 * Instances of subclasses are encoded by it too, unless they have a codec of their own, and come back as instances of the
 * registered class.
 *
 * @example
 * ```ts
 * classCodec({
 *   name: 'Money',
 *   type: Money,
 *   encode: (money) => ({ cents: money.cents, currency: money.currency }),
 *   decode: ({ cents, currency }) => new Money(cents, currency),
 * });
 * ```
 */
export function classCodec<T extends object, Data>(codec: {
  readonly name: string;
  readonly type: Class<T>;
  readonly encode: (instance: T) => Data;
  readonly decode: (data: Data) => T;
}): ClassCodec {
  const { name, type, encode, decode } = codec;
  return { name, type, encode: (instance) => encode(instance as T), decode: (data) => decode(data as Data) };
}

/** The classes of one application whose instances stay instances when they are recorded. */
export class ClassRegistry {
  private readonly codecs = new Map<string, ClassCodec>();
  private readonly codecByPrototype = new Map<unknown, ClassCodec>();
  private readonly errors = new Map<string, ErrorClass>();

  /**
   * @throws {ClassRegisteredTwiceError} when two have one name, or one class has two codecs.
   * @throws {InvalidClassCodecError} when a name or a class cannot be used.
   */
  constructor(codecs: readonly ClassCodec[] = [], errors: readonly ErrorClass[] = []) {
    for (const codec of codecs) this.addCodec(codec);
    for (const type of errors) this.addError(type);
  }

  /** The codec of the class of a value, or of the nearest class it extends. */
  codecOf(value: object): ClassCodec | undefined {
    if (this.codecByPrototype.size === 0) return undefined;
    let prototype: unknown = Object.getPrototypeOf(value);
    while (prototype !== null && prototype !== Object.prototype && prototype !== Array.prototype) {
      const codec = this.codecByPrototype.get(prototype);
      if (codec) return codec;
      prototype = Object.getPrototypeOf(prototype);
    }
    return undefined;
  }

  codecNamed(name: string): ClassCodec | undefined {
    return this.codecs.get(name);
  }

  errorNamed(name: string): ErrorClass | undefined {
    return this.errors.get(name);
  }

  private addCodec(codec: ClassCodec): void {
    const { name, type } = codec;
    if (typeof name !== 'string' || !NAME.test(name)) {
      throw new InvalidClassCodecError(String(name), 'its name must have 1 to 200 printable characters');
    }
    const prototype = prototypeOf(type);
    if (prototype === undefined || prototype === Object.prototype || prototype === Array.prototype) {
      throw new InvalidClassCodecError(name, 'its type must be a class of its own');
    }
    if (typeof codec.encode !== 'function' || typeof codec.decode !== 'function') {
      throw new InvalidClassCodecError(name, 'it needs the functions encode and decode');
    }
    if (this.codecs.has(name) || this.codecByPrototype.has(prototype)) {
      throw new ClassRegisteredTwiceError(name, 'codecs');
    }
    this.codecs.set(name, codec);
    this.codecByPrototype.set(prototype, codec);
  }

  private addError(type: ErrorClass): void {
    const name = typeof type === 'function' ? type.name : String(type);
    if (!(prototypeOf(type) instanceof Error)) {
      throw new InvalidClassCodecError(name, 'option "errors" takes classes that extend Error');
    }
    if (name === '') throw new InvalidClassCodecError(name, 'an error class without a name cannot be found again');
    if (LANGUAGE_ERRORS.has(name))
      throw new InvalidClassCodecError(name, 'the language has an error class of that name');
    if (this.errors.has(name)) throw new ClassRegisteredTwiceError(name, 'errors');
    this.errors.set(name, type);
  }
}

const NAME = /^[^\p{C}]{1,200}$/u;

function prototypeOf(type: unknown): unknown {
  return typeof type === 'function' && typeof type.prototype === 'object' ? (type.prototype as unknown) : undefined;
}

import { OrchestratorError } from '@nestor/core';

/** An option about payloads has a value that cannot be meant. */
export class InvalidPayloadOptionError extends OrchestratorError {
  readonly code = 'INVALID_PAYLOAD_OPTION';

  constructor(
    readonly option: string,
    readonly problem: string,
  ) {
    super(`Option "${option}" of OrchestratorModule ${problem}.`);
  }
}

/** A parameter set or result is larger than option `payloads.maxBytes` allows. */
export class PayloadTooLargeError extends OrchestratorError {
  readonly code = 'PAYLOAD_TOO_LARGE';

  constructor(
    /** What it is, for example `result of task "load"`. */
    readonly subject: string,
    readonly bytes: number,
    readonly maxBytes: number,
  ) {
    super(
      `The ${subject} has ${bytes} bytes when encoded, more than the ${maxBytes} of option payloads.maxBytes. Keep it in a ` +
        `file or an object store and record where it is, or raise the option.`,
    );
  }
}

/** A payload store could not keep or give a payload. */
export class PayloadStoreFailedError extends OrchestratorError {
  readonly code = 'PAYLOAD_STORE_FAILED';

  constructor(
    readonly store: string,
    /** What was to be kept, or the key of what was to be read. */
    readonly payload: string,
    readonly operation: 'keep' | 'read',
    cause: unknown,
  ) {
    super(`The payload store "${store}" could not ${operation} the ${payload} (${textOf(cause)}).`, { cause });
  }
}

/** A run refers to a payload that its store does not have: it was deleted, or the store is another one. */
export class PayloadNotFoundError extends OrchestratorError {
  readonly code = 'PAYLOAD_NOT_FOUND';

  constructor(
    readonly store: string,
    readonly key: string,
  ) {
    super(
      `The payload store "${store}" has no payload ${key}: it was deleted, or this process uses another place than the one ` +
        `that recorded it (option payloads.store).`,
    );
  }
}

/** A run refers to a payload in a store that this process does not have. */
export class PayloadStoreUnknownError extends OrchestratorError {
  readonly code = 'PAYLOAD_STORE_UNKNOWN';

  constructor(
    readonly store: string,
    readonly configured: string,
  ) {
    super(
      `A payload is in the store "${store}", and this process has "${configured}"; give it the other one in option ` +
        `payloads.store.`,
    );
  }
}

/** A payload was encoded by a codec that this process does not have. */
export class PayloadCodecUnknownError extends OrchestratorError {
  readonly code = 'PAYLOAD_CODEC_UNKNOWN';

  constructor(
    readonly codec: string,
    readonly configured: readonly string[],
  ) {
    super(
      `A payload was encoded by the codec "${codec}", and this process has ` +
        `${configured.length > 0 ? configured.map((name) => `"${name}"`).join(', ') : 'none'}; ` +
        `add it to option payloads.codec.`,
    );
  }
}

/** A payload codec could not encode or decode a payload: a key is missing or wrong, or what is kept was changed. */
export class PayloadCodecFailedError extends OrchestratorError {
  readonly code = 'PAYLOAD_CODEC_FAILED';

  constructor(
    readonly codec: string,
    readonly operation: 'encode' | 'decode',
    cause: unknown,
  ) {
    super(`The payload codec "${codec}" could not ${operation} a payload: ${textOf(cause)}.`, { cause });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

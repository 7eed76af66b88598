import { OrchestratorError } from '@nestor/core';

/** A secret was to be kept or read, and there is no key for it: your own server, and option `secretKey` is not set. */
export class SecretKeyMissingError extends OrchestratorError {
  readonly code = 'SECRET_KEY_MISSING';

  constructor() {
    super(
      'There is no key for secrets. Set option secretKey of OrchestratorModule, or NESTOR_SECRET_KEY of the bundled ' +
        'orchestrator, to 32 random bytes in base64 (openssl rand -base64 32), the same in every process, and keep it ' +
        'outside the database.',
    );
  }
}

/** The file with the key of secrets, beside the embedded database, cannot be used. */
export class SecretKeyFileError extends OrchestratorError {
  readonly code = 'SECRET_KEY_FILE_UNUSABLE';

  constructor(
    readonly file: string,
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(`The key of secrets in ${file} cannot be used: ${problem}.`, options);
  }
}

/** A secret cannot be decrypted: its key is missing or another one, or it was changed, or moved from another document. */
export class SecretUnreadableError extends OrchestratorError {
  readonly code = 'SECRET_UNREADABLE';

  constructor(
    /** What it is, for example `field "/password" of block "smtp-server/mail"`. */
    readonly subject: string,
    cause: unknown,
  ) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(
      `The secret ${subject} cannot be decrypted: ${reason}. Add the key that it was encrypted with to option secretKey ` +
        `(NESTOR_SECRET_KEY), after the current one, or save the block anew.`,
      { cause },
    );
  }
}

import { OrchestratorError } from '@nestor/core';

/** The lock file is missing, too large, not JSON, or not a lock file. */
export class UnreadableLockFileError extends OrchestratorError {
  readonly code = 'LOCK_FILE_UNREADABLE';

  constructor(
    readonly file: string,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`The lock file "${file}" cannot be read: ${reason}; name a package-lock.json written by npm.`, options);
  }
}

/** The lock file has a format this audit does not know. */
export class UnsupportedLockFileError extends OrchestratorError {
  readonly code = 'LOCK_FILE_VERSION_UNSUPPORTED';

  constructor(
    readonly file: string,
    /** What the file says its `lockfileVersion` is. */
    readonly lockfileVersion: unknown,
  ) {
    super(
      `The lock file "${file}" has lockfileVersion ${JSON.stringify(lockfileVersion) ?? 'undefined'}, but only version 3 ` +
        `is understood; write it anew with "npm install --package-lock-only --lockfile-version 3".`,
    );
  }
}

/** The manifest of an installed package is missing, too large, or no JSON object. */
export class UnreadableManifestError extends OrchestratorError {
  readonly code = 'MANIFEST_UNREADABLE';

  constructor(
    readonly file: string,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(
      `The manifest "${file}" cannot be read: ${reason}; install the packages of the lock file with "npm ci".`,
      options,
    );
  }
}

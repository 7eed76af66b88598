import { Inject, Injectable } from '@nestjs/common';
import { AesKeyRing, type AesKey } from './aes-key-ring.js';
import { SecretKeyFileError, SecretKeyMissingError } from './secret-errors.js';
import { createKeyFile, readKeyFile } from './secret-key-file.js';

/** Where the keys of secrets come from. */
export interface SecretKeySettings {
  /** Those of the option; none when it is not set. */
  readonly keys: readonly AesKey[];
  /** Where a key is kept beside the embedded database; `null` with a server of one's own. */
  readonly file: string | null;
}

/** Injection token of the {@link SecretKeySettings}. */
export const SECRET_KEY_SETTINGS = Symbol('nestor.secret-key-settings');

/**
 * The keys with which secrets are encrypted: those of the option, then those of the file beside the embedded database. The
 * file is made when the first secret is kept, if there is no other key; it is read once.
 */
@Injectable()
export class SecretKeys {
  private ring: AesKeyRing | null = null;

  constructor(@Inject(SECRET_KEY_SETTINGS) private readonly settings: SecretKeySettings) {}

  /** @throws {SecretKeyMissingError} when there is no key. @throws {SecretKeyFileError} when its file cannot be used. */
  async forReading(): Promise<AesKeyRing> {
    const ring = (this.ring ??= await this.load());
    if (!ring) throw new SecretKeyMissingError();
    return ring;
  }

  /** The same, with a key that is made where there is none and a file is the place for it. */
  async forWriting(): Promise<AesKeyRing> {
    const { file } = this.settings;
    this.ring ??= await this.load();
    if (!this.ring && file !== null) await createKeyFile(file);
    return this.forReading();
  }

  private async load(): Promise<AesKeyRing | null> {
    const { keys, file } = this.settings;
    const kept = file === null ? null : await readKeyFile(file);
    const known = new Set(keys.map(({ id }) => id));
    const all = [...keys, ...(kept ?? []).filter(({ id }) => !known.has(id))];
    if (all.length === 0 && kept === null) return null;
    // The keys of the option were looked at when the module was made: what is wrong now is in the file.
    return new AesKeyRing(all, (problem) => new SecretKeyFileError(file ?? 'option secretKey', `it ${problem}`));
  }
}
